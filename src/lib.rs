//! `lab`: throw-away clusters of small nodes from one YAML file, for learning networks.

pub mod error;
pub mod event;
pub mod observe;
pub mod paths;
pub mod yaml;
