//! `lab`: throw-away clusters of small nodes from one YAML file, for learning networks.

pub mod bundle;
pub mod cli;
pub mod commands;
pub mod driver;
pub mod embedded;
pub mod error;
pub mod event;
pub mod executor;
pub mod export;
pub mod image;
pub mod kubeconfig;
pub mod lab;
pub mod network;
pub mod observe;
pub mod paths;
pub mod plan;
pub mod report;
pub mod seed;
pub mod ssh;
pub mod state;
pub mod template;
pub mod ui;
pub mod yaml;
