//! A Debian 12 that boots: systemd as process 1 in a container of systemd-nspawn, with the network of this machine. What
//! it writes is gone with it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// How often a test looks whether something is so, and how long it waits in between: a minute in all.
const LOOKS: u32 = 1200;
const PAUSE: Duration = Duration::from_millis(50);

/// The folder that becomes the machine: `scripts/setup test` makes it.
const BOOKWORM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/machine/bookworm");

/// Starts a container in control groups of its own: two systemd in one group would end each other's services.
const START: &str = r#"
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e $tree/cgroup.procs ] || continue
    mkdir $tree/$NAME && echo $$ >$tree/$NAME/cgroup.procs || exit 1
done
exec systemd-nspawn --register=no --keep-unit --quiet --console=pipe --machine=$NAME \
    --directory="$ROOT" --volatile=overlay --bind-ro="$PACKAGES:/packages" $MORE --boot
"#;

pub struct Machine {
    name: String,
    nspawn: Child,
    /// Process 1 of the machine, as this one counts.
    init: u32,
}

/// What a command said, on stdout and stderr, and its exit status.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub text: String,
}

impl Machine {
    /// Boots; `packages` is there as `/packages`.
    pub fn boot(packages: &Path) -> Self {
        Self::boot_with(packages, "")
    }

    /// Boots without any network but its own loopback, with every port free.
    pub fn boot_alone(packages: &Path) -> Self {
        Self::boot_with(packages, "--private-network")
    }

    fn boot_with(packages: &Path, more: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "these tests boot a machine in a container: run them as root");
        let name = format!("schoolgate-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let complaints = tempfile::NamedTempFile::new().unwrap();
        let mut nspawn = Command::new("sh")
            .args(["-c", START])
            .env("NAME", &name)
            .env("ROOT", BOOKWORM)
            .env("PACKAGES", packages)
            .env("MORE", more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints.reopen().unwrap())
            .spawn()
            .unwrap();
        let init = eventually("the machine boots", || {
            if nspawn.try_wait().unwrap().is_some() {
                panic!("scripts/setup test? {}", fs::read_to_string(complaints.path()).unwrap());
            }
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", nspawn.id())).ok()?;
            let init = children.split_whitespace().next()?.parse().ok()?;
            let name = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
            (name.trim() == "systemd").then_some(init)
        });
        let machine = Self { name, nspawn, init };
        eventually("systemd is up", || {
            let said = machine.try_run("systemctl is-system-running");
            matches!(said.text.trim(), "running" | "degraded").then_some(())
        });
        assert_eq!(machine.run("systemctl --failed --no-legend --plain").trim(), "");
        machine.write("/etc/hosts", "127.0.0.1 localhost\n", 0o644);
        machine
    }

    /// A file of the machine, as this one finds it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Writes a file, with its folder.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs a command of a shell, as root.
    pub fn try_run(&self, command: &str) -> Said {
        let output = Command::new("nsenter")
            .args(["--all", "--target", &self.init.to_string(), "env", "-i"])
            .args([
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "LANG=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive",
            ])
            .args(["sh", "-c", &format!("exec 2>&1; {command}")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said { status: output.status.code().unwrap_or(-1), text: String::from_utf8(output.stdout).unwrap() }
    }

    /// The same for one that must succeed. Gives back what it said.
    pub fn run(&self, command: &str) -> String {
        let said = self.try_run(command);
        assert_eq!(said.status, 0, "{command}: {}\n{}", said.text, self.journal());
        said.text
    }

    /// What the journal has of the gateway and its sockets.
    pub fn journal(&self) -> String {
        self.try_run("journalctl --no-pager --output=cat -u schoolgate.service -u schoolgate.socket").text
    }

    /// Waits until the journal has it.
    pub fn logged(&self, text: &str) {
        self.logged_times(text, 1);
    }

    /// The same for something that it has several times.
    pub fn logged_times(&self, text: &str, times: usize) {
        let has = || (self.journal().matches(text).count() >= times).then_some(());
        eventually(&format!("the journal has {text:?} {times} times"), has);
    }

    /// The state of a unit: `active`, `failed`, ...
    pub fn state(&self, unit: &str) -> String {
        self.try_run(&format!("systemctl is-active {unit}")).text.trim().to_owned()
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.run(&format!("systemctl show --value --property={name} {unit}")).trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.journal());
        }
        // Process 1 takes everything in its namespace with it.
        let _ = Command::new("kill").args(["-KILL", &self.init.to_string()]).status();
        let _ = self.nspawn.wait();
        for tree in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
            let group = format!("{tree}/{}", self.name);
            let _ =
                Command::new("find").args([&*group, "-depth", "-type", "d", "-delete"]).stderr(Stdio::null()).status();
        }
    }
}

/// Waits for something to be so.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(PAUSE);
    }
    panic!("it is not so that {what}");
}
