//! The executable of 共影 Gongying: command line, configuration and the wiring of roles. Everything it does stands in
//! the packages below it; see ARCHITECTURE.md.

mod cli;
mod config;
mod demo;
mod ecg_rules;
mod edge;
mod forwarding;
mod gpu;
mod metrics;
mod node;
mod output;
mod parcel;
mod tls;
mod tls_client;
mod transcoder;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
