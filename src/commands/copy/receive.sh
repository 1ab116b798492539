# Unpacks a tar stream beside $1 and moves what is in it there once it is whole; into $1, named $2, where $1 is a folder.
set -e
to=$1
if [ -d "$to" ]; then
  to=${to%/}/$2
else
  case $to in */) echo "there is no folder $to" >&2; exit 1 ;; esac
fi
parent=$(dirname -- "$to")
[ -d "$parent" ] || { echo "there is no folder $parent" >&2; exit 1; }
new=$(mktemp -d -- "$parent/.lab-XXXXXX")
trap 'rm -rf -- "$new"' EXIT
tar -xpf - --no-same-owner -C "$new"
[ -e "$new/lab.whole" ] || { echo "the copy was cut" >&2; exit 1; }
rm -- "$new/lab.whole"
item=$new/$(ls -A -- "$new")
if [ -d "$to" ] && [ -d "$item" ] && [ ! -L "$item" ]; then
  cp -a -- "$item/." "$to/"
elif [ -d "$to" ]; then
  echo "$to is a folder" >&2
  exit 1
else
  mv -fT -- "$item" "$to"
fi
