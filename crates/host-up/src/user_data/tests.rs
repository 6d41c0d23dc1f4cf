use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::testing::lab;

const TOKEN: &str = "5f2c0f6c9f1d4b7e8a3d2c1b0a99887766554433221100ffeeddccbbaa998877";

const HASH: &str = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ./0123";

fn filegator() -> String {
    render_filegator(HASH).unwrap()
}

fn jupyter() -> String {
    render_jupyter("us-east-1", lab().images.as_ref(), &Secret::new(TOKEN)).unwrap()
}

#[test]
fn a_document_is_known_whatever_its_values_and_no_other_is() {
    for (text, runs, other) in
        [(jupyter(), Runs::Jupyter, Runs::Filegator), (filegator(), Runs::Filegator, Runs::Jupyter)]
    {
        assert!(is_user_data_of(&text, runs) && !is_user_data_of(&text, other), "{runs:?}");
        let (front, back) = text.rsplit_once("systemctl").unwrap();
        assert!(!is_user_data_of(&format!("{front}true{back}"), runs), "{runs:?}");
    }
    assert!(!is_user_data_of("#!/bin/sh\necho 'hybrid-lab: ready' >/dev/console\n", Runs::Jupyter));
}

/// Runs a program of the system; `None`, outside of CI, when this machine does not have it.
fn run(program: &str, arguments: &[&str]) -> Option<std::process::Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}");
            eprintln!("not checked: there is no {program} on this machine");
            None
        }
    }
}

fn documents() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("bare", render_bare().unwrap()),
        ("filegator", filegator()),
        ("jupyter", jupyter()),
        ("jupyter without buckets", render_jupyter("eu-west-1", None, &Secret::new(TOKEN)).unwrap()),
    ])
}

/// The text of one written file, as cloud-init would read it out of the document.
fn read_file(document: &str, path: &str) -> String {
    let mut lines = document.lines().skip_while(|line| line.trim() != format!("- path: {path}"));
    lines.find(|line| line.trim() == "content: |").unwrap();
    let block = lines.take_while(|line| line.is_empty() || line.starts_with("      "));
    block.map(|line| line.strip_prefix("      ").unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn every_place_is_filled_and_the_token_is_not_in_it() {
    for (name, text) in documents() {
        assert!(text.starts_with("#cloud-config\n"), "{name}");
        assert!(text.len() <= LONGEST, "{name} is {} bytes", text.len());
        assert!(!text.contains("{{") && !text.contains(TOKEN), "{name}");
        let place =
            text.split('@').skip(1).step_by(2).find(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        assert_eq!(place, None, "{name}");
    }
    let text = jupyter();
    assert!(text.contains("input_bucket = \\\"lab-input-bucket-ada\\\""), "{text}");
    assert!(text.contains(&hash_token(&Secret::new(TOKEN))));
}

#[test]
fn the_longest_names_still_fit() {
    let mut images = lab().images.unwrap();
    (images.input, images.output) = ("i".repeat(63), "o".repeat(63));
    assert!(render_jupyter("ap-southeast-99", Some(&images), &Secret::new(TOKEN)).is_ok());
}

#[test]
fn cloud_init_finds_nothing_to_complain_about() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in documents() {
        let path = directory.path().join("user-data.yaml");
        std::fs::write(&path, text).unwrap();
        let Some(output) = run("cloud-init", &["schema", "-c", path.to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn shellcheck_finds_nothing_to_complain_about() {
    let directory = tempfile::tempdir().unwrap();
    let scripts = [
        (render_bare().unwrap(), "/var/lib/cloud/scripts/per-boot/hybrid-lab-ready"),
        (filegator(), "/usr/local/lib/hybrid-lab/report-ready"),
        (filegator(), "/usr/local/lib/hybrid-lab/setup"),
        (jupyter(), "/usr/local/lib/hybrid-lab/report-ready"),
        (jupyter(), "/usr/local/lib/hybrid-lab/setup"),
    ];
    for (document, path) in scripts {
        let text = read_file(&document, path);
        assert!(text.starts_with("#!/bin/bash\n") && text.contains("\nset -euo pipefail\n"), "{path}:\n{text}");
        let file = directory.path().join("script");
        std::fs::write(&file, text).unwrap();
        let Some(output) = run("shellcheck", &[file.to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_notebook_is_json_with_the_buckets_in_it() {
    let text = read_file(&jupyter(), "/etc/hybrid-lab/sample-image.ipynb");
    let notebook: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(notebook["nbformat"], 4);
    assert!(notebook["cells"].to_string().contains("lab-output-bucket-ada"));
}

#[test]
fn the_file_server_s_users_are_an_administrator_with_our_hash_and_a_guest_who_may_nothing() {
    let users: serde_json::Value =
        serde_json::from_str(&read_file(&filegator(), "/etc/hybrid-lab/users.json")).unwrap();
    assert_eq!((&users["1"]["username"], &users["1"]["password"]), (&"admin".into(), &HASH.into()));
    assert_eq!((&users["2"]["permissions"], &users["2"]["password"]), (&"".into(), &"".into()));
}

/// The file server's setup in a folder of its own: every path leads there, and every program that would change this
/// machine only notes how it was called.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["bin", "etc/hybrid-lab", "usr/local/lib/hybrid-lab", "dev", "srv"] {
            std::fs::create_dir_all(machine.path(folder)).unwrap();
        }
        std::fs::write(machine.path("etc/hybrid-lab/users.json"), "new\n").unwrap();
        for script in ["setup", "report-ready"] {
            machine.write_program(
                &format!("usr/local/lib/hybrid-lab/{script}"),
                &read_file(&filegator(), &format!("/usr/local/lib/hybrid-lab/{script}")),
            );
        }
        let note = "echo \"${0##*/} $*\" >>/log";
        for program in ["systemctl", "sleep"] {
            machine.write_program(&format!("bin/{program}"), &format!("#!/bin/bash\n{note}\n"));
        }
        machine.go_online_at_look(3);
        let docker = "case $1 in container) grep -q '^docker create' /log ;; create) cat /srv/filegator/private/users.json >>/log ;; esac";
        machine.write_program("bin/docker", &format!("#!/bin/bash\n{note}\n{docker}\n"));
        machine.write_program("bin/curl", &format!("#!/bin/bash\n{note}\ngrep -q '^docker start' /log\n"));
        // Only root may give files away.
        let install = "args=(); for arg; do [[ $arg == --owner=* || $arg == --group=* ]] || args+=(\"$arg\"); done";
        machine.write_program(
            "bin/install",
            &format!("#!/bin/bash\n{note}\n{install}\n/usr/bin/install \"${{args[@]}}\"\n"),
        );
        machine
    }

    /// There is no internet before the package lists are asked for so often.
    fn go_online_at_look(&self, look: u32) {
        let online = format!("[ \"$(grep -c update /log)\" -ge {look} ]");
        let note = "#!/bin/bash\necho \"${0##*/} $*\" >>/log";
        self.write_program("bin/timeout", &format!("{note}\n{online}\n"));
        self.write_program("bin/apt-get", &format!("{note}\n[[ $* != *update* ]] || {online}\n"));
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write_program(&self, path: &str, text: &str) {
        let root = self.root.path().display();
        let mut text = text.to_owned();
        for place in ["/etc/hybrid-lab", "/usr/local/lib/hybrid-lab", "/dev/console", "/srv/filegator", "/log"] {
            // A volume's place in the container begins with /var.
            let here = |before: char| format!("{before}{place}");
            for before in [' ', '=', '>'] {
                text = text.replace(&here(before), &format!("{before}{root}{place}"));
            }
            text = text.replace(&format!("\n{place}"), &format!("\n{root}{place}"));
        }
        std::fs::write(self.path(path), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(path), mode).unwrap();
    }

    /// Runs the setup; whether it succeeded.
    fn set_up(&self) -> bool {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let setup = self.path("usr/local/lib/hybrid-lab/setup");
        // The machine was started hours ago.
        let mut command = Command::new("bash");
        command.arg(setup).env("PATH", path).env("SECONDS", "20000");
        command.output().unwrap().status.success()
    }

    /// What was called, or done, so far.
    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(|line| line.replace(&self.root.path().display().to_string(), "")).collect()
    }

    fn mode(&self, path: &str) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(self.path(path)).unwrap().permissions()) & 0o777
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.path("dev/console")).unwrap_or_default()
    }
}

#[test]
fn the_file_server_waits_for_the_internet_and_has_its_users_before_it_starts() {
    let machine = Machine::new();
    assert!(machine.set_up(), "{:#?}", machine.log());
    let log = machine.log();
    let at = |start: &str| {
        let found = log.iter().position(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start:?} is missing: {log:#?}"))
    };
    assert_eq!(log.iter().filter(|line| line.starts_with("apt-get") && line.ends_with(" update")).count(), 3);
    let order = [
        at("systemctl enable filegator.service"),
        at("docker pull --quiet filegator/filegator:v7.15.1"),
        at("install --owner=33 --group=33 --mode=0600 /etc/hybrid-lab/users.json /srv/filegator/private/users.json"),
        at("docker create"),
        at("new"),
        at("docker start filegator"),
        at("curl"),
    ];
    assert!(order.is_sorted(), "{order:?} in {log:#?}");
    let create = &log[at("docker create")];
    for part in [
        "--restart unless-stopped",
        "--publish 8080:8080",
        "--volume /srv/filegator/repository:/var/www/filegator/repository",
        "--volume /srv/filegator/private:/var/www/filegator/private",
        "filegator/filegator:v7.15.1",
    ] {
        assert!(create.contains(part), "{part} is missing from {create}");
    }
    assert_eq!(machine.mode("srv/filegator/private"), 0o700);
    assert_eq!(machine.mode("srv/filegator/private/users.json"), 0o600);
    assert!(
        log.iter().any(|line| line.starts_with("install --directory --owner=33 --group=33 --mode=0750")),
        "{log:#?}"
    );
    assert_eq!(machine.console().trim(), "hybrid-lab: ready");
}

#[test]
fn the_file_server_waits_for_a_window_that_opens_long_after_the_boot() {
    let machine = Machine::new();
    machine.go_online_at_look(40);
    assert!(machine.set_up(), "{:#?}", machine.log());
    assert_eq!(machine.console().trim(), "hybrid-lab: ready");
}

#[test]
fn at_a_later_boot_nothing_is_installed_again_and_the_users_stay() {
    let machine = Machine::new();
    assert!(machine.set_up());
    std::fs::write(machine.path("srv/filegator/private/users.json"), "changed in FileGator").unwrap();
    std::fs::remove_file(machine.path("dev/console")).unwrap();
    let before = machine.log().len();
    assert!(machine.set_up());
    let later: Vec<_> = machine.log().split_off(before);
    assert!(
        !later.iter().any(|line| ["apt-get", "docker create", "docker pull", "install"]
            .iter()
            .any(|word| line.starts_with(word))),
        "{later:#?}"
    );
    assert_eq!(
        std::fs::read_to_string(machine.path("srv/filegator/private/users.json")).unwrap(),
        "changed in FileGator"
    );
    assert_eq!(machine.console().trim(), "hybrid-lab: ready");
}

#[test]
fn a_file_server_that_cannot_be_installed_says_so_on_the_console() {
    let machine = Machine::new();
    machine.write_program("bin/docker", "#!/bin/bash\necho \"docker $*\" >>/log\nexit 1\n");
    assert!(!machine.set_up());
    assert_eq!(machine.log().iter().filter(|line| line.starts_with("docker pull")).count(), 30);
    assert!(machine.console().contains("\nhybrid-lab: failed (setup ended with 1"), "{}", machine.console());
    assert!(!machine.path("srv/filegator/private/users.json").exists());
}

/// A program of the project's own venv: `.venv/bin/NAME` in this folder or one above.
fn find_in_venv(name: &str) -> Option<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.map(|folder| folder.join(".venv/bin").join(name)).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no .venv/bin/{name}: run scripts/setup.sh");
        eprintln!("not checked: there is no .venv/bin/{name} (scripts/setup.sh makes it)");
    }
    found
}

/// A Jupyter server, killed when it is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
    // Holds the configuration until the server is gone.
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// The host's configuration and nothing else; only address and folder are this machine's.
    fn start(program: &Path, hash: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("jupyter_server_config.py");
        std::fs::write(&config, read_file(&jupyter(), "/etc/hybrid-lab/jupyter_server_config.py")).unwrap();
        std::fs::write(directory.path().join("token.sha256"), hash).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program)
            .arg(format!("--config={}", config.display()))
            .arg(format!("--ServerApp.root_dir={}", directory.path().display()))
            .arg(format!("--ServerApp.port={}", address.port()))
            .args(["--ServerApp.ip=127.0.0.1", "--allow-root"])
            // Neither the user's own configuration nor a token in the environment has a say.
            .env("HOME", directory.path())
            .env("JUPYTER_CONFIG_DIR", directory.path())
            .env("JUPYTER_RUNTIME_DIR", directory.path())
            .env("JUPYTER_TOKEN", "environment")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address, _directory: directory }
    }

    /// Waits until it answers; `false` when it has ended instead.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_mins(2);
        while Instant::now() < deadline {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.try_get("/api", "").is_ok_and(|status| status == 200) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Jupyter neither answers nor ends");
    }

    fn get(&self, path: &str, header: &str) -> u16 {
        self.try_get(path, header).unwrap()
    }

    fn try_get(&self, path: &str, header: &str) -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{header}\r\n", self.address)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| std::io::Error::other("no status"))
    }
}

#[test]
fn jupyter_lets_in_who_knows_the_token_and_nobody_else() {
    let Some(program) = find_in_venv("jupyter-server") else { return };
    let mut server = Server::start(&program, &hash_token(&Secret::new(TOKEN)));
    assert!(server.answers(), "Jupyter does not start");
    let status = "/api/status";
    for (path, header) in [
        (status.to_owned(), String::new()),
        (format!("{status}?token="), String::new()),
        (format!("{status}?token=wrong"), String::new()),
        (format!("{status}?token=environment"), String::new()),
        // The hash, which everybody who may read user-data knows, opens nothing.
        (format!("{status}?token={}", hash_token(&Secret::new(TOKEN))), String::new()),
        (status.to_owned(), "Authorization: token wrong\r\n".to_owned()),
    ] {
        assert_eq!(server.get(&path, &header), 403, "{path} {header}");
    }
    assert_eq!(server.get(&format!("{status}?token={TOKEN}"), ""), 200);
    assert_eq!(server.get(status, &format!("Authorization: token {TOKEN}\r\n")), 200);
    assert_eq!(server.get(status, &format!("Authorization: Bearer {TOKEN}\r\n")), 200);
}

#[test]
fn jupyter_does_not_start_without_a_hash() {
    let Some(program) = find_in_venv("jupyter-server") else { return };
    assert!(!Server::start(&program, "").answers());
}
