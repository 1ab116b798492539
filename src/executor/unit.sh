# Runs one step on a node as a unit of its own, so that it outlives the connection that started it.
# Called as: unit.sh VERB NAME [ARGS]. The step's folder holds: key, script, pid, out, err, rc (the exit code, written
# last), outputs/.
set -u
verb=$1 name=$2
dir="${LAB_NODE_RUN:-/run/lab}/$name"
unit="lab-$name"

systemd() { [ -z "${LAB_NODE_RUN:-}" ] && [ -d /run/systemd/system ]; }
alive() {
  if systemd; then systemctl -q is-active "$unit"; else [ -s "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; fi
}

case $verb in
  # What is there of an earlier start with this key: running, done CODE, cut, or nothing.
  state)
    if [ "$(cat "$dir/key" 2>/dev/null)" != "$3" ]; then
      if alive; then echo other; else echo nothing; fi
    elif [ -s "$dir/rc" ]; then echo "done $(cat "$dir/rc")"
    elif alive; then echo running
    else echo cut
    fi ;;
  # Ends what runs under this name.
  stop)
    if systemd; then systemctl stop "$unit" 2>/dev/null
    elif [ -s "$dir/pid" ]; then kill -KILL -- "-$(cat "$dir/pid")" 2>/dev/null
    fi
    rm -rf "$dir" ;;
  # Takes the script from stdin and starts it under the key.
  start)
    umask 077
    rm -rf "$dir"
    mkdir -p "$dir/outputs"
    cat > "$dir/script"
    printf '%s' "$3" > "$dir/key"
    cat > "$dir/wrapper" <<WRAPPER
echo \$\$ > '$dir/pid'
umask 022
bash '$dir/script' > '$dir/out' 2> '$dir/err' < /dev/null
echo \$? > '$dir/rc.new'
mv '$dir/rc.new' '$dir/rc'
WRAPPER
    : > "$dir/out"; : > "$dir/err"
    if systemd; then
      systemctl reset-failed "$unit" 2>/dev/null
      systemd-run --quiet --collect --unit="$unit" --property=EnvironmentFile=-/etc/environment \
        --setenv=HOME=/root --setenv=LAB_OUTPUTS="$dir/outputs" --working-directory=/root bash "$dir/wrapper"
    else
      LAB_OUTPUTS="$dir/outputs" setsid bash "$dir/wrapper" < /dev/null > /dev/null 2>&1 &
      until [ -s "$dir/pid" ] || [ -s "$dir/rc" ]; do sleep 0.02; done
    fi ;;
  # Hands on the output from these offsets until the step ends; exits with its code, 253 when it left none.
  attach)
    until [ -s "$dir/pid" ]; do alive || [ -s "$dir/rc" ] || exit 253; sleep 0.05; done
    pid=$(cat "$dir/pid")
    tail -q -s 0.2 --pid="$pid" -c "+$3" -f "$dir/out" &
    tail -q -s 0.2 --pid="$pid" -c "+$4" -f "$dir/err" >&2 &
    wait
    [ -s "$dir/rc" ] || exit 253
    exit "$(cat "$dir/rc")" ;;
  # Prints the outputs as base64, one a line: NAME VALUE.
  outputs)
    for file in "$dir/outputs"/*; do
      [ -f "$file" ] && printf '%s %s\n' "${file##*/}" "$(base64 -w0 < "$file")"
    done
    exit 0 ;;
esac
