# What every step of the lab uses on its node; `run` sends it before the step.
set -euo pipefail
export HOME=/root
root=${LAB_NODE_ROOT:-}
[ ! -r "$root/etc/environment" ] || { set -a; . "$root/etc/environment"; set +a; }
umask 022

# begin NAME [again]: a step that is done is not done a second time, but for those that leave outputs.
begin() {
  state=$root/var/lib/lab/$1
  work=$root/run/lab/$1
  rm -rf "$work"
  (umask 077; mkdir -p "$work/outputs" "$root/var/lib/lab")
  export LAB_OUTPUTS=$work/outputs
  if [ -e "$state.done" ] && [ "${2:-}" != again ]; then echo 'done before'; exit 0; fi
}
# text WHAT: keeps a text of the step from its input.
text() { (umask 077; cat > "$work/$1"); }
# A text as a script of its own, which must not read what is left of this one.
script() { (cd "${root:-/root}" && bash -euo pipefail "$work/$1" < /dev/null); }
# act SECONDS: the step's script, but for what is already so; a second try is undone first.
act() {
  if [ -e "$work/unless" ] && script unless > /dev/null 2>&1; then echo 'already so'; return; fi
  if [ -e "$state.begun" ] && [ -e "$work/undo" ]; then script undo; fi
  : > "$state.begun"
  (cd "${root:-/root}" && timeout "$1" bash -euo pipefail "$work/script" < /dev/null)
}
# hold WHAT EVERY SECONDS DESCRIPTION: tries until it succeeds.
hold() {
  local deadline=$((SECONDS + $3))
  export LAB_DEADLINE=$3
  until script "$1"; do
    if [ "$SECONDS" -ge "$deadline" ]; then echo "not within $3 s: $4" >&2; exit 1; fi
    sleep "$2"
  done
}
# put PATH MODE OWNER: a file; the new one is whole before it takes the old one's place.
put() {
  mkdir -p "$root$(dirname "$1")"
  cp "$work/content" "$root$1.new"
  [ -n "$root" ] || chown "$3" "$1.new"
  chmod "$2" "$root$1.new"
  mv "$root$1.new" "$root$1"
}
finish() { : > "$state.done"; rm -f "$work"/script "$work"/content; }
