//! The man page schoolgate(1) and the completions of shells, by the command line itself.

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use roff::{Roff, bold, italic, roman};

/// What a shell loads.
pub(crate) fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut schoolgate::cli::command(), "schoolgate", &mut text);
    // What a blank line in a comment leaves behind.
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// One page for all commands.
pub(crate) fn manual() -> String {
    let mut command = schoolgate::cli::command().subcommand_value_name("command");
    command.build();
    let page = Man::new(command.clone()).manual("User commands");
    let mut text = Vec::new();
    page.render_title(&mut text).unwrap();
    text.extend(b".nh\n.ad l\n");
    page.render_name_section(&mut text).unwrap();
    page.render_synopsis_section(&mut text).unwrap();
    page.render_description_section(&mut text).unwrap();
    page.render_options_section(&mut text).unwrap();
    let mut text = String::from_utf8(text).unwrap() + ".SH COMMANDS\n";
    for command in leaves(&command) {
        text += &of_command(command);
    }
    // Each part begins with the same definitions, of which one is enough.
    let (definitions, _) = text.split_once(".TH").unwrap();
    let definitions = definitions.to_owned();
    let text = format!("{definitions}{}", text.replace(&definitions, ""));
    text + &ending()
}

/// The commands that do something, in the order in which they are offered.
fn leaves(command: &Command) -> Vec<&Command> {
    let own = command.get_subcommands().filter(|command| command.get_name() != "help");
    own.flat_map(|command| if command.has_subcommands() { leaves(command) } else { vec![command] }).collect()
}

fn of_command(command: &Command) -> String {
    // What holds for all commands is said once, at the beginning.
    let global = |id: &str| matches!(id, "config" | "help" | "version");
    let own = command.clone().mut_args(|argument| {
        let hide = global(argument.get_id().as_str());
        argument.hide(hide)
    });
    let page = Man::new(own);
    let part = |render: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::new();
        render(&mut text);
        String::from_utf8(text).unwrap()
    };
    let headed = |text: String, from: &str, to: &str| text.replace(&format!(".SH {from}\n"), to);
    let name = command.get_bin_name().unwrap();
    let synopsis = part(&|text| page.render_synopsis_section(text).unwrap());
    let description = part(&|text| page.render_description_section(text).unwrap());
    let options = part(&|text| page.render_options_section(text).unwrap());
    headed(synopsis, "SYNOPSIS", &format!(".SS {name}\n"))
        + &headed(description, "DESCRIPTION", ".PP\n")
        + &headed(options, "OPTIONS", "")
}

fn ending() -> String {
    let mut end = Roff::new();
    end.control("SH", ["ENVIRONMENT"]);
    for (name, what) in [
        ("SCHOOLGATE_CONFIG", "The configuration, unless --config names one."),
        ("RUST_LOG", "How much is logged: error, warn, info (which is the default), debug or trace."),
        ("CREDENTIALS_DIRECTORY", "Where files with secrets are. systemd sets it (LoadCredential=)."),
        ("STATE_DIRECTORY", "Where the gateway keeps its state, unless the configuration says. systemd sets it."),
    ] {
        end.control("TP", []).text([bold(name)]).text([roman(what)]);
    }
    end.control("SH", ["FILES"]);
    end.control("TP", []).text([italic("/etc/schoolgate/gateway.toml")]).text([roman("The configuration.")]);
    end.control("SH", ["SEE ALSO"]).text([bold("gateway.toml"), roman("(5)")]);
    end.to_roff()
}

/// What a person gets who writes this and presses the tabulator key. Bash is on every machine that runs the tests.
fn offered(words: &[&str]) -> String {
    let script = "source completions/schoolgate.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  _schoolgate schoolgate \"${@: -1}\" \"${@: -2:1}\"; echo \"${COMPREPLY[*]}\"";
    let output = std::process::Command::new("bash")
        .args(["-ec", script, "bash"])
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn bash_completes_commands_and_their_options() {
    assert_eq!(offered(&["schoolgate", "che"]), "check");
    assert_eq!(offered(&["schoolgate", "sessions", "e"]), "end");
    assert!(offered(&["schoolgate", "check", "--"]).split(' ').any(|option| option == "--schema"));
}
