# Writes what is at $1 as a tar stream, whose last entry says that it is whole.
set -e
[ -e "$1" ] || [ -L "$1" ] || { echo "there is no $1" >&2; exit 1; }
path=$(readlink -f -- "$1")
mark=$(mktemp -d)
trap 'rm -rf -- "$mark"' EXIT
: > "$mark/lab.whole"
tar -cf - -C "$(dirname -- "$path")" "./$(basename -- "$path")" -C "$mark" lab.whole
