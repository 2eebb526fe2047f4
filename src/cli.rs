//! The command line: one file per command group.

mod admin;
mod bench;
mod demo;
mod ecg;
mod edge;
pub(crate) mod image;
mod kernel;
mod recon;
mod send;
mod serve;
mod volume;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// 共影 Gongying: the shared diagnostic centre of a county in one program.
///
/// Not a registered medical device. Start with `gongying demo`.
#[derive(Parser, Debug)]
#[command(name = "gongying", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a whole demonstration county on this machine, with synthetic patients.
    Demo(demo::Demo),
    /// Run a centre node with a configuration file.
    Serve(serve::Serve),
    /// Run a township node: takes from local devices, keeps safely, forwards to the centre over a weak line.
    Edge(edge::Edge),
    /// Send DICOM files to a node by C-STORE.
    Send(send::Send),
    /// Institutions, users, devices, tokens; verify, reindex, back up, audit.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Read, filter, measure and draw ECG records.
    #[command(subcommand)]
    Ecg(ecg::Ecg),
    /// Decode and render DICOM images.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Reconstruct images from projections.
    #[command(subcommand)]
    Recon(recon::Recon),
    /// Cut and project volumes: DICOM series or .npy arrays.
    #[command(subcommand)]
    Volume(volume::VolumeCommand),
    /// Time a kernel on this machine.
    Bench(Box<bench::Bench>),
}

/// Carries out one command.
pub(crate) fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Edge(edge) => edge.run(),
        Command::Send(send) => send.run(),
        Command::Admin(admin) => admin.run(),
        Command::Ecg(ecg) => ecg.run(),
        Command::Image(image) => image.run(),
        Command::Recon(recon) => recon.run(),
        Command::Volume(volume) => volume.run(),
        Command::Bench(bench) => bench.run(),
    }
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command says by an example how it is used.
    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let leaf = command.get_subcommands().next().is_none();
            let help = command.clone().render_long_help().to_string();
            assert!(!leaf || help.contains("Example"), "{path} has no example");
            command.get_subcommands().for_each(|c| check(c, &path));
        }
        Cli::command()
            .get_subcommands()
            .for_each(|c| check(c, "gongying"));
    }
}
