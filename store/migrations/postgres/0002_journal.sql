-- The database's own id. A call journal carries it, so that nobody's calls are settled in another's books.
CREATE TABLE installation (
    one         bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    id          uuid   NOT NULL,
    created_at  bigint NOT NULL
);
