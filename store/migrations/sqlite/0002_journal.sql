-- The database's own id. A call journal carries it, so that nobody's calls are settled in another's books.
CREATE TABLE installation (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id          BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
