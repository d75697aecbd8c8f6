//! The command line: one file per command.

mod admin_client;
mod check;
mod demo;
mod describe;
mod doctor;
mod explain;
mod output;
mod run;
mod session_table;
mod sessions;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{self, Loaded};

/// The exit status of wrong usage and of a wrong configuration.
const USAGE: u8 = 2;

/// Puts Apple School Manager single sign-on in front of web apps that cannot be changed.
#[derive(Debug, Parser)]
#[command(name = "schoolgate", version, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    /// The configuration.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SCHOOLGATE_CONFIG",
        default_value = "/etc/schoolgate/gateway.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway in the foreground. The log goes to stderr.
    ///
    /// SIGTERM and Ctrl-C stop it: requests in flight finish within shutdown_grace. The exit status is
    /// 0 after a clean stop, 1 when it cannot start, and 2 when the configuration is wrong.
    Run,
    /// Check the configuration without starting anything.
    ///
    /// Prints hosts, routes, access and scopes as a table, and what looks odd. The exit status is 0 when
    /// the configuration is valid, and 2 when it is not: then every error is told at once.
    Check(check::Arguments),
    /// Say what a request would meet.
    ///
    /// Which app and route it meets, whether it is let in without a sign-in, what scopes and people the
    /// route needs, and which headers the app gets; with --as also what becomes of it for somebody who has
    /// signed in. The gateway need not run.
    Explain(explain::Arguments),
    /// Try everything that the gateway needs around it, and say how to mend what is not well.
    ///
    /// Apple's keys, the client credentials, the clock, each upstream, the session store, listeners, certificates
    /// and files. Nothing is changed, whether the gateway runs or not. Run it as the gateway's user. The exit status
    /// is 0 when all is well, 1 when something is not, and 2 when the configuration is wrong.
    Doctor(doctor::Arguments),
    /// Show or end the sessions of the running gateway.
    ///
    /// Asks it over its admin listener (server.admin_listen). Nothing else of the configuration is looked at.
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Try everything on this machine: no account, no configuration.
    Demo(demo::Arguments),
}

/// The command line, for what is made of it: the man page and the completions of shells.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command that the arguments name, and gives back the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { config, command }) => match command {
            Command::Run => run::run(&config),
            Command::Check(arguments) => check::run(&config, &arguments),
            Command::Explain(arguments) => explain::run(&config, &arguments),
            Command::Doctor(arguments) => doctor::run(&config, &arguments),
            Command::Sessions(command) => sessions::run(&config, &command),
            Command::Demo(arguments) => demo::run(&config, &arguments),
        },
        Err(answer) => {
            // --help and --version are answers too, and go to stdout with status 0.
            let _ = answer.print();
            u8::try_from(answer.exit_code()).map_or(ExitCode::from(USAGE), ExitCode::from)
        }
    }
}

/// The configuration; when it is wrong, everything that is wrong goes to stderr.
fn load(path: &Path) -> Result<Loaded, ExitCode> {
    config::load(path, &|name| std::env::var(name).ok()).map_err(|problems| {
        output::complain(&problems.to_string());
        ExitCode::from(USAGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_offered() {
        let help = command().render_long_help().to_string();
        for command in ["run", "check", "explain", "doctor", "sessions", "demo"] {
            assert!(help.contains(&format!("  {command} ")), "{command}");
        }
    }
}
