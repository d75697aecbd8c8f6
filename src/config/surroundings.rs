//! What the file may refer to outside itself: two variables, and the folder it stands in.

use std::path::{Path, PathBuf};

use super::report::Fault;

/// The variables that a path may begin with. systemd sets both (systemd.exec(5)).
const VARIABLES: &[&str] = &["CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"];

/// Where the state goes when neither the file nor systemd says.
const STATE_DIR: &str = "/var/lib/schoolgate";

/// The environment, and where relative paths begin.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    folder: &'a Path,
}

impl<'a> Surroundings<'a> {
    /// Relative paths begin in the folder of `file`.
    pub(super) fn of(file: &'a Path, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { environment, folder: file.parent().unwrap_or(Path::new("")) }
    }

    /// A path with its leading variable replaced.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, Fault> {
        let Some(rest) = text.strip_prefix('$') else {
            return match text {
                "" => Err(Fault::new("is empty", "write a path, such as \"/etc/schoolgate/apple.p8\"")),
                nul if nul.contains('\0') => Err(Fault::new("has a NUL character", "write a path without it")),
                tilde if tilde.starts_with('~') => {
                    Err(Fault::new("begins with a tilde, which only a shell replaces", "write the whole path"))
                }
                path => Ok(self.folder.join(path)),
            };
        };
        let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
        if !VARIABLES.contains(&name) {
            let cure = format!("begin with ${} or ${}, or write the whole path", VARIABLES[0], VARIABLES[1]);
            return Err(Fault::new("begins with a variable that is not replaced here", cure));
        }
        let value = self.variable(name).ok_or_else(|| {
            let cure = format!(
                "systemd sets it for the service; by hand, set it before the command: {name}=/some/folder schoolgate …"
            );
            Fault::new(format!("needs the variable {name}, which is not set"), cure)
        })?;
        Ok(if below.is_empty() { PathBuf::from(value) } else { Path::new(&value).join(below.trim_start_matches('/')) })
    }

    /// Where the state goes unless the file says.
    pub(super) fn state_dir(&self) -> PathBuf {
        PathBuf::from(self.variable("STATE_DIRECTORY").unwrap_or_else(|| STATE_DIR.to_owned()))
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<PathBuf, Fault> {
        let environment = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| "/run/credentials/sg".to_owned());
        Surroundings::of(Path::new("/etc/schoolgate/gateway.toml"), &environment).path(text)
    }

    #[test]
    fn the_two_variables_of_systemd_are_replaced_at_the_beginning() {
        assert_eq!(path("$CREDENTIALS_DIRECTORY/apple.p8").unwrap(), Path::new("/run/credentials/sg/apple.p8"));
        assert_eq!(path("$CREDENTIALS_DIRECTORY").unwrap(), Path::new("/run/credentials/sg"));
        assert_eq!(path("/a/$CREDENTIALS_DIRECTORY").unwrap(), Path::new("/a/$CREDENTIALS_DIRECTORY"));
    }

    #[test]
    fn a_relative_path_begins_in_the_folder_of_the_file() {
        assert_eq!(path("apple.p8").unwrap(), Path::new("/etc/schoolgate/apple.p8"));
        assert_eq!(path("/x/apple.p8").unwrap(), Path::new("/x/apple.p8"));
    }

    #[test]
    fn a_variable_that_is_not_set_or_not_replaced_is_refused() {
        assert!(path("$STATE_DIRECTORY/x").unwrap_err().message.contains("STATE_DIRECTORY, which is not set"));
        for text in ["$HOME/x", "$CREDENTIALS_DIRECTORYx/y", "$", "${STATE_DIRECTORY}/x"] {
            assert!(path(text).unwrap_err().message.contains("not replaced"), "{text}");
        }
        for text in ["", "a\0b", "~/apple.p8"] {
            assert!(path(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_state_goes_where_systemd_says_and_else_to_var_lib() {
        let none = |_: &str| None;
        assert_eq!(Surroundings::of(Path::new("x"), &none).state_dir(), Path::new(STATE_DIR));
        let set = |name: &str| (name == "STATE_DIRECTORY").then(|| "/srv/state".to_owned());
        assert_eq!(Surroundings::of(Path::new("x"), &set).state_dir(), Path::new("/srv/state"));
    }
}
