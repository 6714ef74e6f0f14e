//! What is up: the table of `status` and the lines of `env`.

use crate::cache::Cache;
use crate::error::Result;
use crate::instance::Instance;
use crate::process;
use crate::servers::ALL;
use crate::servers::server::{Context, Server};

/// One line for each server and one for each of its processes.
pub fn table(cache: &Cache, instance: Option<&Instance>) -> Result<String> {
    let mut rows =
        vec![["SERVER", "PROCESS", "PID", "MEMORY", "HEALTH", "ADDRESS"].map(str::to_owned)];
    for server in ALL {
        match instance {
            Some(instance) => rows.extend(server_rows(cache, instance, *server)?),
            None => rows.push(absent(*server)),
        }
    }
    Ok(layout(&rows))
}

/// The servers that are up.
pub fn names_up(instance: Option<&Instance>) -> Vec<&'static str> {
    let is_up = |name: &&str| instance.is_some_and(|instance| instance.is_up(name));
    ALL.iter()
        .map(|server| server.name())
        .filter(is_up)
        .collect()
}

/// The environment of the servers that are up: names and values.
pub fn environment(cache: &Cache, instance: &Instance) -> Result<Vec<(&'static str, String)>> {
    let mut variables = Vec::new();
    for server in ALL.iter().filter(|server| instance.is_up(server.name())) {
        variables.extend(server.env(&Context::new(cache, instance, *server))?);
    }
    Ok(variables)
}

/// A line that a shell reads.
pub fn export_line(name: &str, value: &str) -> String {
    format!("export {name}='{}'", value.replace('\'', r"'\''"))
}

fn server_rows(
    cache: &Cache,
    instance: &Instance,
    server: &dyn Server,
) -> Result<Vec<[String; 6]>> {
    let records = instance.processes(server.name())?;
    if records.is_empty() {
        return Ok(vec![absent(server)]);
    }
    let context = Context::new(cache, instance, server);
    let health = match context.all_alive().and_then(|()| server.health(&context)) {
        Ok(()) if instance.is_up(server.name()) => "healthy".to_owned(),
        Ok(()) => "starting".to_owned(),
        Err(why) => why,
    };
    let address = server.address(&context)?;
    let mut rows = Vec::new();
    for (position, record) in records.iter().enumerate() {
        // A server's own cells stand on the line of its first process.
        let first = |text: &str| if position == 0 { text } else { "" }.to_owned();
        rows.push([
            first(server.name()),
            record.name.clone(),
            record.process.pid.to_string(),
            format!("{} MiB", process::memory(record.process) >> 20),
            first(&health),
            first(&address),
        ]);
    }
    Ok(rows)
}

fn absent(server: &dyn Server) -> [String; 6] {
    [server.name(), "-", "-", "-", "not running", "-"].map(str::to_owned)
}

fn layout(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).filter_map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_value_stays_in_the_value() {
        assert_eq!(export_line("A", "it's"), r"export A='it'\''s'");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |name: &str| [name, "p", "1", "2 MiB", "healthy", "unix:///x"].map(str::to_owned);
        assert_eq!(
            layout(&[row("s3"), row("buildkit")])
                .lines()
                .map(|line| line.find(" p "))
                .max(),
            Some(Some(9))
        );
    }

    #[test]
    fn without_an_instance_nothing_is_up() {
        let text = table(&Cache::at("/nonexistent".into()), None).unwrap();
        assert_eq!(text.matches("not running").count(), ALL.len());
    }
}
