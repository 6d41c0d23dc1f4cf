//! The way into a host: OpenSSH with the right user, key, address and list of known host keys.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use lab_common::{Home, Image, Session, quote as shell_quote};
use lab_plan::{Problem, print_err};

use crate::clients::Clients;
use crate::image::login_user;
use crate::live::{Instance, describe_amis, find_instances};
use crate::secrets::{KEY_FILE, KNOWN_HOSTS_FILE};
use crate::want::{Key, WantedHost, want_hosts};

/// Everything ssh needs to know about one host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    name: String,
    address: String,
    user: String,
    /// `None` leaves the choice to ssh.
    identity: Option<PathBuf>,
    known_hosts: PathBuf,
    /// The instance's id: an address that EC2 hands out again does not look like an attack then.
    alias: String,
    /// It has no public address.
    private: bool,
    jump: Option<Jump>,
}

/// How a host is reached through another one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Jump {
    /// Another host of the same configuration file.
    Host(String),
    /// The shell command that leads there: the other host has a user, a key and a list of host keys of its own, which
    /// `-J` could not tell apart.
    Command(String),
}

/// What the command line says about logging in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) identity: Option<PathBuf>,
}

/// Becomes `ssh`, and returns only when that fails. `via` names the host to go through.
pub(crate) async fn connect(
    session: &Session,
    host: &str,
    via: Option<&str>,
    login: Login,
    command: &[String],
) -> Result<(), Problem> {
    let missing = |host: &str| {
        let fix = format!("host-up up {host}");
        Problem::failed(format!("host `{host}` is not running, or has no address yet")).fix(fix)
    };
    let way = find_ways(session, &[host.to_owned()], login.clone()).await?.pop().ok_or_else(|| missing(host))?;
    let way = if let Some(via) = via {
        // The user name is the target's alone; so is the key, unless the other host has none of the lab's either.
        let identity = login.identity.filter(|_| session.lab.host(via).is_some_and(|host| host.key.is_some()));
        let login = Login { user: None, identity };
        let jump = find_ways(session, &[via.to_owned()], login).await?.pop().ok_or_else(|| missing(via))?;
        Way { jump: Some(Jump::Command(jump.proxy_command())), ..way }
    } else {
        if way.private {
            print_err(&format!("note: {} ({}) is reached over the VPN; without it: --via HOST", way.name, way.address));
        }
        way
    };
    let error = Command::new("ssh").args(way.arguments()).args(command).exec();
    Err(Problem::failed("cannot start ssh").because(error.to_string()).fix("install OpenSSH's client"))
}

/// Blocks for `~/.ssh/config`, one a running host. Private ones go through `via`, where it is named.
pub(crate) async fn show_config(session: &Session, via: Option<&str>) -> Result<String, Problem> {
    let ways = find_ways(session, &[], Login::default()).await?;
    if ways.is_empty() {
        return Err(Problem::failed("no host is running").fix("host-up up"));
    }
    let via = via.map(|host| session.names.host(host));
    if let Some(via) = via.as_ref().filter(|via| ways.iter().all(|way| way.name != **via)) {
        return Err(Problem::failed(format!("{via} is not running, or has no address yet")).fix("host-up up"));
    }
    let ways = ways.into_iter().map(|way| match &via {
        Some(via) if way.private => Way { jump: Some(Jump::Host(via.clone())), ..way },
        _ => way,
    });
    Ok(ways.map(|way| way.show_block()).collect::<Vec<_>>().join("\n"))
}

async fn find_ways(session: &Session, hosts: &[String], login: Login) -> Result<Vec<Way>, Problem> {
    let clients = Clients::new(&session.sdk);
    let home = Home::of(&session.lab)?;
    let instances = find_instances(&clients, &session.tags).await?;
    let wanted = want_hosts(&session.lab, &session.names, hosts);
    let up = |host: &WantedHost| instances.iter().find(|instance| instance.host == host.host && instance.is_up());
    let running: Vec<_> = wanted.iter().filter_map(|host| Some((host, up(host)?))).collect();
    let own = running.iter().filter(|(host, _)| matches!(host.image, Image::Ami(_)) && login.user.is_none());
    let images = describe_amis(&clients, own.map(|(_, instance)| instance.ami.clone()).collect()).await?;
    let ways = running.into_iter().filter_map(|(host, instance)| {
        let image_name = images.get(&instance.ami).and_then(|image| image.name.as_deref());
        make_way(&home, host, instance, image_name, &login)
    });
    Ok(ways.collect())
}

fn make_way(
    home: &Home,
    host: &WantedHost,
    instance: &Instance,
    image_name: Option<&str>,
    login: &Login,
) -> Option<Way> {
    let own_key = || matches!(host.key, Key::Own(_)).then(|| home.path(KEY_FILE));
    Some(Way {
        name: host.name.clone(),
        address: instance.public_ip.clone().or_else(|| instance.private_ip.clone())?,
        user: login.user.clone().unwrap_or_else(|| login_user(&host.image, image_name).to_owned()),
        identity: login.identity.clone().or_else(own_key),
        known_hosts: home.path(KNOWN_HOSTS_FILE),
        alias: instance.id.clone(),
        private: instance.public_ip.is_none(),
        jump: None,
    })
}

impl Way {
    fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![
            ("UserKnownHostsFile", quote(&self.known_hosts)),
            ("HostKeyAlias", self.alias.clone()),
            ("StrictHostKeyChecking", "accept-new".into()),
            ("ConnectTimeout", "15".into()),
        ];
        if let Some(identity) = &self.identity {
            options.push(("IdentityFile", quote(identity)));
            options.push(("IdentitiesOnly", "yes".into()));
        }
        match &self.jump {
            Some(Jump::Host(name)) => options.push(("ProxyJump", name.clone())),
            Some(Jump::Command(command)) => options.push(("ProxyCommand", command.clone())),
            None => {}
        }
        options
    }

    /// The command by which ssh talks to its target through this host. ssh replaces `%h` and `%p`, then a shell runs it.
    fn proxy_command(&self) -> String {
        let mut arguments = self.arguments();
        let target = arguments.pop().unwrap_or_default();
        // In the options `%` stands for itself twice already: once more for the command they are part of.
        let arguments = arguments.iter().map(|argument| shell_quote(argument).replace('%', "%%"));
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        format!("ssh {arguments} -W '[%h]:%p' {target}")
    }

    fn arguments(&self) -> Vec<String> {
        let options = self.options().into_iter().flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]);
        let target = ["-l".to_owned(), self.user.clone(), self.address.clone()];
        options.chain(target).collect()
    }

    fn show_block(&self) -> String {
        let first = [("HostName", self.address.clone()), ("User", self.user.clone())];
        let lines = first.into_iter().chain(self.options()).map(|(key, value)| format!("    {key} {value}"));
        let lines: Vec<_> = lines.collect();
        format!("Host {}\n{}\n", self.name, lines.join("\n"))
    }
}

/// A path as ssh's configuration takes it, with blanks and with `%` as themselves.
fn quote(path: &std::path::Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{lab, names, running};

    fn way(login: &Login) -> Way {
        let host = want_hosts(&lab(), &names(), &["public".into()]).remove(0);
        make_way(&Home::at("/home/ada/my labs"), &host, &running("public"), None, login).unwrap()
    }

    #[test]
    fn ssh_gets_the_lab_s_own_key_and_its_own_known_hosts() {
        let text = way(&Login::default()).arguments().join(" ");
        let expected = "-o UserKnownHostsFile=\"/home/ada/my labs/known_hosts\" -o HostKeyAlias=i-public \
                        -o StrictHostKeyChecking=accept-new -o ConnectTimeout=15 -o IdentityFile=\"/home/ada/my labs/ssh-key\" \
                        -o IdentitiesOnly=yes -l ec2-user 203.0.113.7";
        assert_eq!(text, expected);
    }

    /// The way to the private host, and what a fake `ssh` hears when the real one goes there through the public host.
    #[test]
    fn the_way_through_another_host_keeps_each_host_s_own_key_and_user() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("my 50% labs"));
        let hosts = want_hosts(&lab(), &names(), &[]);
        let private = Instance { public_ip: None, private_ip: Some("10.0.2.9".into()), ..running("private") };
        let jump = make_way(&home, &hosts[0], &running("public"), None, &Login::default()).unwrap();
        let way = make_way(&home, &hosts[1], &private, None, &Login::default()).unwrap();
        assert!(way.private && !jump.private);
        let way = Way { jump: Some(Jump::Command(jump.proxy_command())), ..way };

        let heard = directory.path().join("heard");
        let fake = directory.path().join("ssh");
        std::fs::write(&fake, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >'{}'\n", heard.display())).unwrap();
        std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
        let Ok(_) = Command::new("/usr/bin/ssh").env("PATH", path).args(way.arguments()).output() else {
            assert!(std::env::var_os("CI").is_none(), "ssh is missing");
            return;
        };
        let heard = std::fs::read_to_string(heard).expect("ssh ran the command");
        let key = home.path(KEY_FILE).display().to_string().replace('%', "%%");
        for line in [
            "-W",
            "[10.0.2.9]:22",
            "ec2-user",
            "203.0.113.7",
            "HostKeyAlias=i-public",
            &format!("IdentityFile=\"{key}\""),
        ] {
            assert!(heard.lines().any(|shown| shown == line), "{line} is missing from\n{heard}");
        }
        assert_eq!(way.arguments().last().unwrap(), "10.0.2.9");
        assert!(way.arguments().contains(&"ubuntu".to_owned()), "{:?}", way.arguments());
    }

    #[test]
    fn in_a_configuration_file_private_hosts_jump_by_name() {
        let host = want_hosts(&lab(), &names(), &["private".into()]).remove(0);
        let instance = Instance { public_ip: None, ..running("private") };
        let way = make_way(&Home::at("/h"), &host, &instance, None, &Login::default()).unwrap();
        let way = Way { jump: Some(Jump::Host("lab-public-ec2".into())), ..way };
        assert!(way.show_block().contains("    ProxyJump lab-public-ec2\n"), "{}", way.show_block());
    }

    #[test]
    fn the_command_line_overrides_user_and_key() {
        let login = Login { user: Some("root".into()), identity: Some("/k.pem".into()) };
        let text = way(&login).arguments().join(" ");
        assert!(text.contains("IdentityFile=/k.pem") && text.contains("-l root"), "{text}");
    }

    #[test]
    fn the_block_is_one_that_ssh_reads() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, way(&Login::default()).show_block()).unwrap();
        let shown = Command::new("ssh").arg("-F").arg(&file).args(["-G", "lab-public-ec2"]).output();
        let Ok(shown) = shown else {
            assert!(std::env::var_os("CI").is_none(), "ssh is missing");
            return;
        };
        let text = String::from_utf8(shown.stdout).unwrap();
        for line in ["hostname 203.0.113.7", "user ec2-user", "hostkeyalias i-public", "identitiesonly yes"] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing from\n{text}");
        }
        assert!(text.contains("userknownhostsfile /home/ada/my labs/known_hosts"), "{text}");
    }
}
