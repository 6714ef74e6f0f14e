#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]

pub mod cache;
pub mod cgroup;
pub mod cli;
pub mod command;
pub mod emulation;
pub mod error;
pub mod golang;
pub mod health;
pub mod images;
pub mod instance;
pub mod lifecycle;
pub mod network;
pub mod oci;
pub mod packages;
pub mod process;
pub mod servers;
pub mod status;
pub mod testing;
pub mod up;

pub use error::{Error, Result};
