# Runs one step on a node as a unit of its own, so that it outlives the connection that started it.
# Called as: unit.sh VERB NAME [ARGS]. The step's folder holds: key, script, pid (with its start time), out, err, rc
# (the exit code, written last), outputs/.
set -u
umask 077
verb=$1 name=$2
base="${LAB_NODE_RUN:-/run/lab}"
dir="$base/$name"
unit="lab-$name"
# No event tells tail of a script's end: it looks for it, so often that nobody waits for it, and so seldom that it costs
# little even where processors are emulated.
every=${LAB_NODE_RUN:+0.02}
every=${every:-0.05}

systemd() { [ -z "${LAB_NODE_RUN:-}" ] && [ -d /run/systemd/system ]; }
# When the process of this number was started; nothing for one that has ended.
started() {
  local fields
  { read -ra fields < "/proc/$1/stat"; } 2>/dev/null && [ "${fields[2]}" != Z ] && echo "${fields[21]}"
}
# Sets `pid` where there is no systemd. A number alone may be somebody else's by now.
alive() {
  if systemd; then systemctl -q is-active "$unit"; return; fi
  local start
  [ -s "$dir/pid" ] && read -r pid start < "$dir/pid" && [ -n "$start" ] && [ "$(started "$pid")" = "$start" ]
}

# One at a time: the start of a `lab` that was killed may still be under way when the next one looks.
alone() {
  [ -d "$base" ] || mkdir -p "$base"
  exec 9> "$base/.$name.lock"
  flock 9
}
case $verb in attach | put) ;; *) alone ;; esac

# The `lab` that began last has the turn, by the host's clock since its boot, which nodes do not outlive: what one that was
# killed has sent may come late, and must not touch a newer run.
turn="$base/.$name.turn"
mine() {
  local had
  had=$(cat "$turn" 2>/dev/null) || had=
  [[ -z $had || ! $1 < $had ]] || { echo "another lab has taken the step over" >&2; exit 1; }
}
take() {
  mine "$1"
  printf '%s' "$1" > "$turn" || rm -f "$turn"
}

clear_dir() { [ ! -e "$dir" ] || { cd "$dir" && rm -rf outputs script wrapper out err rc pid; }; }

case $verb in
  # What is there of an earlier start: with this key running, or done CODE; with another still running; cut; or nothing.
  # Takes the turn.
  state)
    take "$4"
    if [ ! -e "$dir" ]; then echo nothing
    elif [ "$(cat "$dir/key" 2>/dev/null)" != "$3" ]; then
      if alive; then echo other; else echo cut; fi
    elif [ -s "$dir/rc" ]; then echo "done $(cat "$dir/rc")"
    elif alive; then echo running
    else echo cut
    fi ;;
  # Ends what runs under this name, and leaves no more than that it was once begun.
  stop)
    mine "$3"
    if systemd; then systemctl stop "$unit" 2>/dev/null
    elif alive; then
      kill -KILL -- "-$pid" 2>/dev/null
      while alive; do sleep 0.02; done
    fi
    clear_dir ;;
  # Leaves of a step that is done no more than that it was once begun.
  forget)
    mine "$3"
    clear_dir ;;
  # Takes the script of this many bytes from stdin and starts it under the key.
  start)
    mine "$5"
    set -e
    rm -rf "$dir"
    mkdir -p "$dir/outputs"
    cat > "$dir/script"
    # A connection that broke looks like the end of the script: half of one must not run.
    if [ "$(wc -c < "$dir/script")" -ne "$4" ]; then
      rm -rf "$dir"
      echo "the script did not come whole" >&2
      exit 1
    fi
    printf '%s' "$3" > "$dir/key"
    cat > "$dir/wrapper" <<WRAPPER
echo \$\$ \$(cut -d' ' -f22 /proc/\$\$/stat) > '$dir/pid.new' && mv '$dir/pid.new' '$dir/pid' || exit 1
umask 022
bash '$dir/script' > '$dir/out' 2> '$dir/err' < /dev/null
echo \$? > '$dir/rc.new'
mv '$dir/rc.new' '$dir/rc'
WRAPPER
    : > "$dir/out"; : > "$dir/err"
    if systemd; then
      systemctl reset-failed "$unit" 2>/dev/null || true
      systemd-run --quiet --collect --unit="$unit" --property=EnvironmentFile=-/etc/environment \
        --setenv=HOME=/root --setenv=LAB_OUTPUTS="$dir/outputs" --working-directory=/root bash "$dir/wrapper"
    else
      LAB_OUTPUTS="$dir/outputs" setsid bash "$dir/wrapper" < /dev/null > /dev/null 2>&1 9>&- &
      # On a full disk it may never come so far as to leave a word.
      until [ -s "$dir/pid" ] || [ -s "$dir/rc" ] || [ -z "$(jobs -r)" ]; do sleep 0.02; done
      # Nobody heard why; the same again is told.
      [ -s "$dir/pid" ] || [ -s "$dir/rc" ] || { printf '%s\n' "$$ 0" > "$dir/pid.new"; echo "the step did not begin" >&2; exit 1; }
    fi ;;
  # Hands on the output from these offsets until the step ends; exits with its code, 253 when it left none.
  attach)
    until [ -s "$dir/pid" ]; do alive || [ -s "$dir/rc" ] || exit 253; sleep 0.05; done
    read -r pid start < "$dir/pid"
    tail -q -s "$every" --pid="$pid" -c "+$3" -f "$dir/out" &
    tail -q -s "$every" --pid="$pid" -c "+$4" -f "$dir/err" >&2 &
    wait
    [ -s "$dir/rc" ] || exit 253
    exit "$(cat "$dir/rc")" ;;
  # Takes a file from stdin: WORD PATH BYTES MODE OWNER. It is whole before it takes the old one's place, and never readable
  # by others on the way. A connection that broke looks like its end, so that the size is told.
  put)
    file="${LAB_NODE_ROOT:-}$4"
    folder=${file%/*}
    set -e
    (umask 022 && mkdir -p "$folder")
    # With a dot: what reads all files of a folder leaves it alone, should the node end here.
    temp=$(mktemp "$folder/.${file##*/}.XXXXXX")
    trap 'rm -f "$temp"' EXIT
    cat > "$temp"
    [ "$(wc -c < "$temp")" -eq "$5" ] || { echo "the file did not come whole" >&2; exit 1; }
    [ -n "${LAB_NODE_ROOT:-}" ] || chown "$7" "$temp"
    chmod "$6" "$temp"
    alone
    take "$3"
    mv -T "$temp" "$file" ;;
  # Prints the outputs as base64, one a line: NAME VALUE.
  outputs)
    for file in "$dir/outputs"/*; do
      [ -f "$file" ] && printf '%s %s\n' "${file##*/}" "$(base64 -w0 < "$file")"
    done
    exit 0 ;;
esac
