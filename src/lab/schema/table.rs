//! Every mapping of a lab file and of the files it uses, key by key: one table for the JSON Schema and for the reference
//! in docs/. A test holds it against the decoder, in both directions.

use super::Shape::*;
use super::{Key, Object, Shape};
use crate::lab::types::TYPES;

const NAME: Shape = Like("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", "small letters, digits and inner hyphens");
const SIZE: Shape = Like("^[0-9]+ *(KiB|MiB|GiB|TiB)?$", "a size: 512MiB, 3GiB");
const SPAN: Shape = Like("^[0-9]+[smh]$", "a duration: 90s, 5m, 1h");
const MODE: Shape = Like("^[0-7]+$", "an octal mode, quoted: \"0600\"");
const ADDRESS: Shape = Like("^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+$", "an IPv4 address");
const SUBNET: Shape = Like("^[0-9.]+/[0-9]+$", "a subnet: 192.168.20.0/24");

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, required: true, shape, about }
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, required: false, shape, about }
}

/// The whole lab file.
pub static LAB: Object = Object {
    id: "lab",
    what: "a lab file",
    about: "One file says everything: nodes, networks, and the steps that run on them.",
    keys: &[
        must("lab", NAME, "The lab's name."),
        may("title", Text, "What the lab shows, in one line."),
        must("image", Text, "The image that every node boots: `plain` or `kubernetes`."),
        may(
            "driver",
            OneOf(&["auto", "qemu", "container"]),
            "How nodes are best made; `--driver` on the command line wins. `auto`: what suits the host.",
        ),
        may(
            "values",
            MapOf(&Of(&DECLARATION)),
            "Values that templates can name; set from outside by `--set NAME=VALUE` and `-f FILE`.",
        ),
        may("networks", NamedMapOf(&Of(&NETWORK)), "Networks by name."),
        may("nodes", NamedMapOf(&Of(&NODE)), "Nodes by name, at least one. The name is the host name too."),
        may("steps", ListOf(&STEP), "What is done on the nodes, in this order on each node."),
        may(
            "chapters",
            ListOf(&CHAPTER),
            "The steps in groups, each with a text: `lab up --chapters` stops at the end of each.",
        ),
        may(
            "checks",
            ListOf(&CHECK),
            "What the finished lab must look like: `up` ends with them, `lab check` holds them again.",
        ),
        may("exports", MapOf(&Of(&EXPORT)), "Files of the cluster that verbs may want, by name, as `kubeconfig`."),
        may("tools", MapOf(&Of(&TOOL)), "Programs of the image's bundle that run on the host: `lab NAME ...`."),
    ],
};

/// A composite step's file.
pub static COMPOSITE: Object = Object {
    id: "composite",
    what: "a composite step",
    about: "A file `templates/PATH.yaml`; a step with `uses: PATH` becomes its steps.",
    keys: &[
        may("description", Text, "What it does, for who reads it."),
        may("inputs", MapOf(&Of(&DECLARATION)), "What `with` gives; its templates name them."),
        may("steps", ListOf(&STEP), "Its steps. Each sees the outputs of its siblings, as `outputs.STEP.NAME`."),
    ],
};

/// A named probe's file.
pub static NAMED_PROBE: Object = Object {
    id: "probe",
    what: "a probe",
    about: "A file `templates/probes/NAME.yaml`, for `wait: NAME` and `check: NAME`.",
    keys: &[
        may("inputs", MapOf(&Of(&DECLARATION)), "What `with` gives; its templates name them."),
        must("description", Text, "What it waits for, as a sentence: `the API server answers`."),
        may("hint", Text, "What to look at when it never holds."),
        must("run", Text, "A script for bash that succeeds when it holds; a template."),
        may(
            "every",
            SPAN,
            "The longest pause between two tries, of which the first come sooner; 2s where it does not say.",
        ),
        may("timeout", SPAN, "Until it is given up; 120s where it does not say. Longer on slow nodes."),
    ],
};

/// All mappings that are part of one of the above.
pub static PARTS: [&Object; 17] = [
    &DECLARATION,
    &NETWORK,
    &NODE,
    &STEP,
    &FILE,
    &PROBE,
    &PROBE_NAME,
    &OUTPUT,
    &CHAPTER,
    &EXPORT,
    &TOOL,
    &CHECK,
    &CHECK_LINK,
    &CHECK_ROUTE,
    &CHECK_CHAIN,
    &CHECK_PODS,
    &CHECK_SERVICE,
];

static DECLARATION: Object = Object {
    id: "declaration",
    what: "a declaration",
    about: "A typed value or input.",
    keys: &[
        must("type", Types(&TYPES), "Its type."),
        may("default", Text, "What it is where nothing is given. Without a default it must be given."),
        may("description", Text, "What it is for."),
    ],
};

static NETWORK: Object = Object {
    id: "network",
    what: "a network",
    about: "`nat` is each node's own way out, always eth0: 10.0.2.15/24, gateway .2, DNS .3. `host-only` is a segment that \
            only the lab's nodes share.",
    keys: &[
        must("kind", OneOf(&["nat", "host-only"]), "What it is."),
        may("subnet", SUBNET, "The addresses of a `host-only` network."),
    ],
};

static NODE: Object = Object {
    id: "node",
    what: "a node",
    about: "One machine of the lab.",
    keys: &[
        may("cpus", Number(1, 64), "Processors; 1 where it does not say."),
        may("memory", SIZE, "Memory, at least 256MiB; 1GiB where it does not say."),
        may(
            "disk",
            SIZE,
            "What the node's disk may grow to, at least 4GiB; 12GiB where it does not say. Container nodes have the room of the host's.",
        ),
        may("networks", MapOf(&ADDRESS), "Its address on each `host-only` network. NAT needs no word."),
    ],
};

static STEP: Object = Object {
    id: "step",
    what: "a step",
    about: "Exactly one of `run`, `upload`, `template`, `wait`, `uses`, `observe`, `check`; a `check` may stand beside \
            another one, as its proof.",
    keys: &[
        may(
            "name",
            Like("^[A-Za-z0-9_-]{1,40}$", "letters, digits, `-` and `_`, at most 40"),
            "Its name. An observation and a named probe have one already.",
        ),
        may("on", Texts, "The nodes it runs on; all where it does not say."),
        may("needs", Texts, "Steps above that must be done before, on all their nodes."),
        may(
            "run",
            Text,
            "A script for bash under `set -euo pipefail`, as root in /root; a template. It runs as a unit of its own: when `lab` dies it goes on.",
        ),
        may("upload", Of(&FILE), "A file put there as it is."),
        may("template", Of(&FILE), "A file put there rendered."),
        may(
            "wait",
            Either(&[Text, Of(&PROBE), Of(&PROBE_NAME)]),
            "Waits until a probe holds: the name of one of `templates/probes`, or one in place.",
        ),
        may("uses", Text, "A composite step: `templates/PATH.yaml`."),
        may(
            "observe",
            NAME,
            "A capture of links, routes, neighbours and rules of its nodes at one moment, under this name.",
        ),
        may(
            "check",
            Either(&[Text, Of(&PROBE), Of(&PROBE_NAME)]),
            "A test of the finished lab; beside another action what must hold before the step counts as done.",
        ),
        may(
            "with",
            MapOf(&Either(&[Text, Nothing])),
            "With `uses`: the inputs. Templates that can name values and inputs.",
        ),
        may("unless", Text, "With `run`: a script that succeeds when the step is already true; a template."),
        may(
            "undo",
            Text,
            "With `run`: what makes a half-done step repeatable, run before it is done again; a template.",
        ),
        may(
            "outputs",
            MapOf(&Either(&[Of(&OUTPUT), Nothing])),
            "With `run`: what the script leaves in `$LAB_OUTPUTS/NAME`.",
        ),
        may(
            "timeout",
            SPAN,
            "With `run`, `wait`, `check`: how long it may take; for `run` 5m where it does not say, else what the probe says. Longer on slow nodes.",
        ),
        may("hint", Text, "With `run`, `wait`, `check`: what to look at when it fails."),
    ],
};

static FILE: Object = Object {
    id: "file",
    what: "a file for a node",
    about: "Its content stands there (`content`) or in a file below `templates/` (`from`).",
    keys: &[
        must("to", Text, "Where it goes: an absolute path. Folders are made."),
        may("from", Text, "A file below `templates/`."),
        may("content", Text, TEMPLATE_OR_TEXT),
        may("mode", MODE, "Its mode; \"0644\" where it does not say."),
        may("owner", Text, "Its owner; root:root where it does not say."),
    ],
};

const TEMPLATE_OR_TEXT: &str = "Its text; for `template` a template.";

static PROBE: Object = Object {
    id: "inline_probe",
    what: "a probe",
    about: "A probe in place.",
    keys: &[
        must("description", Text, "What it waits for, as a sentence."),
        may("hint", Text, "What to look at when it never holds."),
        must("run", Text, "A script for bash that succeeds when it holds; a template."),
        may(
            "every",
            SPAN,
            "The longest pause between two tries, of which the first come sooner; 2s where it does not say.",
        ),
        may("timeout", SPAN, "Until it is given up; 120s where it does not say. Longer on slow nodes."),
    ],
};

static PROBE_NAME: Object = Object {
    id: "probe_with_inputs",
    what: "a probe",
    about: "A probe of `templates/probes` with its inputs.",
    keys: &[must("probe", Text, "Its name."), may("with", MapOf(&Either(&[Text, Nothing])), "Its inputs.")],
};

static OUTPUT: Object = Object {
    id: "output",
    what: "an output",
    about: "What a step leaves for others, as `outputs.STEP.NAME`.",
    keys: &[
        may("secret", Flag, "Masked in every log and kept in a file of mode 0600."),
        may("lifetime", SPAN, "After this time its step runs again, alone, before the value is used."),
    ],
};

static CHAPTER: Object = Object {
    id: "chapter",
    what: "a chapter",
    about: "A group of steps with a Markdown text, shown at its end.",
    keys: &[
        must("name", NAME, "Its name."),
        may("until", Text, "Its last step. The last chapter needs none."),
        may("from", Text, "The text beside the templates: `templates/PATH.en.md`, `templates/PATH.ko.md`."),
        may("text", Either(&[Text, Languages]), "The text in place, or texts by language: `{en: ..., ko: ...}`."),
    ],
};

static EXPORT: Object = Object {
    id: "export",
    what: "an export",
    about: "Where a file of the cluster is.",
    keys: &[
        must("node", Text, "The node."),
        must("path", Like("^/", "an absolute path"), "The path there."),
        may(
            "port",
            Number(1, 65_535),
            "A port of the node that the file speaks of. A port of 127.0.0.1 leads to it from the moment the node runs, and the file handed out says so.",
        ),
    ],
};

static TOOL: Object = Object {
    id: "tool",
    what: "a tool",
    about: "A program of the bundle, run on the host and pointed at the lab by its environment.",
    keys: &[
        must("program", Like("^[^/]+/.+", "PART/FILE"), "Where it is in the bundle."),
        may("env", MapOf(&Text), "Variables, and the export whose file each names."),
    ],
};

static CHECK: Object = Object {
    id: "check",
    what: "a check",
    about: "Exactly one of `link`, `route`, `chain`, `pods`, `service`, `run`. Texts are templates: they can name values and \
            `nodes`.",
    keys: &[
        must("name", Text, "What holds, as a sentence: `webpod runs on two nodes`."),
        may("on", Texts, "The nodes that it must hold on; all where it does not say."),
        may("hint", Text, "What to look at when it does not hold."),
        may("link", Of(&CHECK_LINK), "The node has such a link."),
        may("route", Of(&CHECK_ROUTE), "The node has such routes, in any table."),
        may("chain", Of(&CHECK_CHAIN), "The node has such a chain of iptables."),
        may("pods", Of(&CHECK_PODS), "Such pods are Ready."),
        may(
            "service",
            Of(&CHECK_SERVICE),
            "Connections to a service reach all its endpoints, and its chain names are proved.",
        ),
        may("run", Text, "A script for bash succeeds, at once; what it prints is the evidence."),
        may("timeout", SPAN, "How long the script may take; 60s where it does not say. Longer on slow nodes."),
    ],
};

static CHECK_LINK: Object = Object {
    id: "link",
    what: "an expected link",
    about: "A link of a node.",
    keys: &[
        must("name", Text, "As `flannel.1`."),
        may("kind", Text, "As `vxlan`, `bridge`, `veth`."),
        may("mtu", Text, "In bytes."),
    ],
};

static CHECK_ROUTE: Object = Object {
    id: "route",
    what: "expected routes",
    about: "Routes of a node; at least one of the first four says which.",
    keys: &[
        may("to", Text, "The destination as `ip route` writes it: `default`, `10.244.1.0/24`."),
        may("within", Text, "A network that the destination is a part of."),
        may("via", Text, "The gateway."),
        may("dev", Text, "The link."),
        may("count", Text, "Exactly so many; at least one where it does not say."),
    ],
};

static CHECK_CHAIN: Object = Object {
    id: "chain",
    what: "an expected chain",
    about: "A chain of iptables.",
    keys: &[must("table", Text, "As `nat`, `filter`."), must("name", Text, "As `KUBE-SERVICES`.")],
};

static CHECK_PODS: Object = Object {
    id: "pods",
    what: "expected pods",
    about: "Pods by their labels.",
    keys: &[
        may("namespace", Text, "`default` where it does not say."),
        may("labels", MapOf(&Either(&[Text, Nothing])), "Labels that they have."),
        may("ready", Text, "At least so many are Ready; 1 where it does not say."),
        may("nodes", Text, "On at least so many different nodes; 1 where it does not say."),
        may("node", Text, "All of them on this node."),
    ],
};

static CHECK_SERVICE: Object = Object {
    id: "service",
    what: "an expected service",
    about: "A service that answers from all its endpoints.",
    keys: &[
        must("name", Text, "NAMESPACE/NAME."),
        may("requests", Text, "So many connections to each port, from a pod; 20 where it does not say."),
    ],
};
