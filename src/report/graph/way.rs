//! The way of a packet as places in the picture.

use crate::observe::explain::Leg;

/// A place that a packet passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Pod {
        node: String,
        name: String,
    },
    /// A bridge, a tunnel's link or a device, by its name.
    Link {
        node: String,
        name: String,
    },
    /// The segment between the nodes.
    Segment,
}

impl Stop {
    /// The node that it is on; the segment is on none.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Pod { node, .. } | Self::Link { node, .. } => Some(node),
            Self::Segment => None,
        }
    }

    /// Its name in the picture.
    pub fn name(&self) -> &str {
        match self {
            Self::Pod { name, .. } | Self::Link { name, .. } => name,
            Self::Segment => "the segment",
        }
    }
}

/// The places of these legs in order; `to` is the pod that they end at.
pub fn way(legs: &[Leg], to: &str, uplink: &dyn Fn(&str) -> Option<String>) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    let mut add = |stop: Stop| {
        if stops.last() != Some(&stop) {
            stops.push(stop);
        }
    };
    let link = |node: &str, name: &str| Stop::Link { node: node.to_string(), name: name.to_string() };
    // The node that it left over the segment, and the tunnel that it is in.
    let mut left: Option<(String, Option<String>)> = None;
    let mut tunnel = None;
    for leg in legs {
        if let Some((_, inside)) = left.take_if(|(from, _)| from.as_str() != leg.node()) {
            add(Stop::Segment);
            uplink(leg.node()).iter().chain(&inside).for_each(|name| add(link(leg.node(), name)));
        }
        match leg {
            Leg::LeavesPod { node, pod, bridge, .. } => {
                add(Stop::Pod { node: node.clone(), name: pod.clone() });
                bridge.iter().for_each(|b| add(link(node, b)));
            }
            Leg::Fdb { node, dev, .. } => {
                add(link(node, dev));
                tunnel = Some(dev.clone());
            }
            Leg::Tunnel { node, dev, .. } | Leg::Link { node, dev, .. } => {
                add(link(node, dev));
                left = Some((node.clone(), tunnel.take()));
            }
            Leg::Bridge { node, bridge, .. } => {
                add(link(node, bridge));
                add(Stop::Pod { node: node.clone(), name: to.to_string() });
            }
            Leg::Route { .. } | Leg::Neighbour { .. } | Leg::Arrives { .. } | Leg::Gap { .. } => {}
        }
    }
    stops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{explain, fixture};

    #[test]
    fn from_pod_to_pod_over_the_tunnel() {
        let (nodes, cluster) = (fixture::nodes(), fixture::cluster());
        let explained = explain::pod_to_pod("curl-pod", "webpod-55ff548fc7-x9csv", &nodes, &cluster).unwrap();
        let stops = way(&explained.there, &explained.to, &|_| Some("eth1".to_string()));
        let names: Vec<&str> = stops.iter().map(Stop::name).collect();
        assert_eq!(
            names,
            [
                "default/curl-pod",
                "cni0",
                "flannel.1",
                "eth1",
                "the segment",
                "eth1",
                "flannel.1",
                "cni0",
                "default/webpod-55ff548fc7-x9csv"
            ]
        );
    }
}
