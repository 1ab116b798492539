//! Where everything stands in a picture, in pixels.

use super::topology::{NodeView, Topology};
use super::way::Stop;

/// Widths and heights that the picture is made of.
pub const NODE_WIDTH: i32 = 270;
const GAP: i32 = 36;
pub const MARGIN: i32 = 24;
const HEAD: i32 = 34;
pub const ROW: i32 = 40;
pub const ROW_GAP: i32 = 16;
/// Pods shown in one node at most; the rest is counted.
pub const PODS: usize = 6;
/// Room for the arcs of the tunnels below the segment, per pair of nodes that lie further apart.
const ARC: i32 = 34;

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
}

impl Area {
    /// Its middle.
    pub fn middle(self) -> (i32, i32) {
        (self.x + self.width / 2, self.y + self.height / 2)
    }
}

/// The places of a topology.
pub struct Layout<'a> {
    topology: &'a Topology,
    /// Rows of pods that the fullest node has.
    pod_rows: i32,
}

impl<'a> Layout<'a> {
    pub fn new(topology: &'a Topology) -> Self {
        let rows = |n: &NodeView| (shown_pods(n).div_ceil(2)) as i32;
        let pod_rows = topology.nodes.iter().map(rows).max().unwrap_or(0);
        Self { topology, pod_rows }
    }

    pub fn width(&self) -> i32 {
        let nodes = self.topology.nodes.len() as i32;
        2 * MARGIN + (nodes * (NODE_WIDTH + GAP) - GAP).max(NODE_WIDTH)
    }

    pub fn height(&self) -> i32 {
        let far = self.topology.joints.iter().map(|j| j.between.1 - j.between.0).max().unwrap_or(0) as i32;
        self.segment_y() + 44 + far * ARC + MARGIN
    }

    /// The box of a node.
    pub fn node(&self, index: usize) -> Area {
        let x = MARGIN + index as i32 * (NODE_WIDTH + GAP);
        Area { x, y: MARGIN, width: NODE_WIDTH, height: self.bottom() - MARGIN }
    }

    fn pods_height(&self) -> i32 {
        self.pod_rows * (ROW + 8)
    }

    fn row(&self, index: usize, number: i32) -> Area {
        let node = self.node(index);
        let y = MARGIN + HEAD + self.pods_height() + number * (ROW + ROW_GAP);
        Area { x: node.x + 14, y, width: node.width - 28, height: ROW }
    }

    fn bottom(&self) -> i32 {
        MARGIN + HEAD + self.pods_height() + 3 * (ROW + ROW_GAP)
    }

    /// The height of the shared segment's line.
    pub fn segment_y(&self) -> i32 {
        self.bottom() + 40
    }

    pub fn bridge(&self, index: usize) -> Area {
        self.row(index, 0)
    }

    pub fn tunnel(&self, index: usize) -> Area {
        self.row(index, 1)
    }

    /// The `number`th of `of` devices.
    pub fn device(&self, index: usize, number: usize, of: usize) -> Area {
        let row = self.row(index, 2);
        let (number, of) = (number as i32, (of as i32).max(1));
        let width = (row.width - 8 * (of - 1)) / of;
        Area { x: row.x + number * (width + 8), width, ..row }
    }

    pub fn pod(&self, index: usize, number: usize) -> Area {
        let node = self.node(index);
        let width = (node.width - 28 - 8) / 2;
        let (column, line) = ((number % 2) as i32, (number / 2) as i32);
        Area { x: node.x + 14 + column * (width + 8), y: MARGIN + HEAD + line * (ROW + 8), width, height: ROW }
    }

    /// Where a device on the segment joins it.
    pub fn joint(&self, index: usize) -> Option<(i32, i32)> {
        let view = &self.topology.nodes[index];
        let at = view.devices.iter().position(|(n, _)| Some(n) == view.uplink.as_ref())?;
        Some((self.device(index, at, view.devices.len()).middle().0, self.segment_y()))
    }

    /// Where a packet's way runs down a node: beside the texts, at the right edge of the uplink.
    fn lane(&self, index: usize) -> i32 {
        let view = &self.topology.nodes[index];
        let at = view.devices.iter().position(|(n, _)| Some(n) == view.uplink.as_ref());
        let area = at.map_or(self.bridge(index), |at| self.device(index, at, view.devices.len()));
        area.x + area.width - 7
    }

    /// The corners of a way at one of its stops, from the pods down; the segment has none of its own.
    pub fn corners(&self, stop: &Stop) -> Vec<(i32, i32)> {
        let Some(index) = self.topology.nodes.iter().position(|n| Some(n.name.as_str()) == stop.node()) else {
            return Vec::new();
        };
        let view = &self.topology.nodes[index];
        let is = |link: &Option<(String, String)>, name: &str| link.as_ref().is_some_and(|l| l.0 == name);
        let lane = self.lane(index);
        match stop {
            Stop::Pod { name, .. } => {
                let shown = view.pods.iter().take(shown_pods(view)).position(|p| p.name == *name);
                let Some(area) = shown.map(|number| self.pod(index, number)) else { return Vec::new() };
                // Between the two columns of pods nothing is written.
                let gutter = self.node(index).middle().0;
                let edge = if area.x < gutter { area.x + area.width } else { area.x };
                let top = self.bridge(index).y + 3;
                vec![(edge, area.middle().1), (gutter, area.middle().1), (gutter, top), (lane, top)]
            }
            Stop::Link { name, .. } if is(&view.bridge, name) => vec![(lane, self.bridge(index).middle().1)],
            Stop::Link { name, .. } if is(&view.tunnel, name) => vec![(lane, self.tunnel(index).middle().1)],
            Stop::Link { .. } => vec![(lane, self.device(index, 0, 1).middle().1)],
            Stop::Segment => Vec::new(),
        }
    }

    /// Where a way meets the segment.
    pub fn landing(&self, index: usize) -> (i32, i32) {
        (self.lane(index), self.segment_y())
    }
}

/// How many pods of a node have a place; where some have none, the last place counts them.
pub fn shown_pods(view: &NodeView) -> usize {
    view.pods.len().min(PODS)
}
