# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_schoolgate_global_optspecs
    string join \n config= h/help V/version
end

function __fish_schoolgate_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_schoolgate_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_schoolgate_using_subcommand
    set -l cmd (__fish_schoolgate_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c schoolgate -n "__fish_schoolgate_needs_command" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_needs_command" -s h -l help -d 'Print help'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -s V -l version -d 'Print version'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "run" -d 'Run the gateway in the foreground. The log goes to stderr'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "check" -d 'Check the configuration without starting anything'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "explain" -d 'Say what a request would meet'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "doctor" -d 'Try everything that the gateway needs around it, and say how to mend what is not well'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "sessions" -d 'Show or end the sessions of the running gateway'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "demo" -d 'Try everything on this machine: no account, no configuration'
complete -c schoolgate -n "__fish_schoolgate_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand run" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand check" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand check" -l schema -d 'Print the JSON schema of the configuration for editors, and check nothing'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand explain" -l as -d 'Somebody who has signed in: sub, org_id (may be empty), and the granted scopes, separated by spaces' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand explain" -l email -d 'Their email address, for which Apple vouches' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand explain" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand explain" -l unverified-email -d 'Apple does not vouch for the address, as with Managed Apple Accounts'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand doctor" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand doctor" -l json -d 'Print a JSON array of findings, each with id, state, about, what and cure'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "list" -d 'Show who is signed in'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "end" -d 'End sessions: those people must sign in again'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from list" -l user -d 'Only the sessions of this person, by their identifier at Apple' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from list" -l organization -d 'Only the sessions of this organization, by its number at Apple' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from list" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from list" -l json -d 'Print a JSON array, with everything that is known and times in RFC 3339'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from end" -l user -d 'All sessions of this person, by their identifier at Apple' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from end" -l organization -d 'All sessions of this organization, by its number at Apple' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from end" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from end" -l all -d 'Everybody\'s sessions'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from end" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show who is signed in'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "end" -d 'End sessions: those people must sign in again'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand demo" -l listen -d 'Where to listen, on this machine only; 127.0.0.1:8080, or any free port when that is taken' -r
complete -c schoolgate -n "__fish_schoolgate_using_subcommand demo" -l config -d 'The configuration' -r -F
complete -c schoolgate -n "__fish_schoolgate_using_subcommand demo" -l stand-in -d 'Only play Apple, for the gateway of the configuration: to try it before anything is registered'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "run" -d 'Run the gateway in the foreground. The log goes to stderr'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "check" -d 'Check the configuration without starting anything'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "explain" -d 'Say what a request would meet'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "doctor" -d 'Try everything that the gateway needs around it, and say how to mend what is not well'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "sessions" -d 'Show or end the sessions of the running gateway'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "demo" -d 'Try everything on this machine: no account, no configuration'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and not __fish_seen_subcommand_from run check explain doctor sessions demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "list" -d 'Show who is signed in'
complete -c schoolgate -n "__fish_schoolgate_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "end" -d 'End sessions: those people must sign in again'
