//! The start and the end of servers in one instance.

use crate::cache::{Cache, create_directory, remove_tree};
use crate::error::Result;
use crate::instance::Instance;
use crate::servers::ALL;
use crate::servers::server::{Context, Server};

/// Starts one server from nothing and notes that it is up.
pub fn start(cache: &Cache, instance: &Instance, server: &dyn Server) -> Result<()> {
    let directory = instance.directory(server.name());
    remove_tree(&directory)?;
    create_directory(&directory)?;
    server.start(&Context::new(cache, instance, server))?;
    instance.mark_up(server.name())
}

/// Ends all servers of an instance, however far the start of each had come.
pub fn clear(cache: &Cache, instance: &Instance) -> Result<()> {
    for server in ALL.iter().rev() {
        stop(cache, instance, *server)?;
    }
    instance.end_strays()
}

/// Ends one server and removes what it left.
pub fn stop(cache: &Cache, instance: &Instance, server: &dyn Server) -> Result<()> {
    instance.mark_down(server.name());
    instance.end_processes(server.name())?;
    server.clean(&Context::new(cache, instance, server));
    remove_tree(&instance.directory(server.name()))
}
