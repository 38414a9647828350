# keeper.sh BIN PORT: keeps one PostgreSQL server in a folder of its own, does what each line of its input says, answers each with
# one line, and ends server and folder when its input ends: whatever becomes of the process at the other end.
set -u
bin=$1 port=$2
# An interrupt from the keyboard is for the process we serve; its end is ours.
trap '' INT TERM HUP
umask 077
# /tmp whatever TMPDIR says: a socket's path has at most 107 bytes.
folder=$(mktemp -d /tmp/huying-postgres-XXXXXX) || exit 1
pid=

# The server and its processes.
all() { echo "$pid" "$(ps -o pid= --ppid "$pid" 2>/dev/null | tr '\n' ' ')"; }

up() {
    "$bin/postgres" -D "$folder/data" -k "$folder" -p "$port" -c listen_addresses=127.0.0.1 -c max_connections=200 \
        >>"$folder/log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if "$bin/pg_isready" -q -h "$folder" -p "$port" -U huying -d postgres; then
            echo "up $folder"
            return
        fi
        sleep 0.02
    done
    # One line, whatever it is.
    echo "failed $(tail -n 5 "$folder/log" | tr '\n' ' ')"
}

# Without a sync: nothing is lost with this folder. The server itself syncs as in production.
if "$bin/initdb" --pgdata="$folder/data" --username=huying --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >"$folder/log" 2>&1; then
    up
else
    echo "failed $(tail -n 5 "$folder/log" | tr '\n' ' ')"
fi
while read -r word; do
    # shellcheck disable=SC2046
    case $word in
    freeze) kill -STOP $(all) && echo frozen ;;
    thaw) kill -CONT $(all) && echo thawed ;;
    kill)
        # The children first: an orphan would keep the next server from starting.
        kill -KILL $(all)
        wait "$pid"
        echo killed
        ;;
    up) up ;;
    *) echo "failed what is $word?" ;;
    esac
done
# shellcheck disable=SC2046
kill -CONT $(all) 2>/dev/null
kill -QUIT "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
rm -rf "$folder"
