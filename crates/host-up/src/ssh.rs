//! The way into a host: OpenSSH with the right user, key, address and list of known host keys.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use lab_common::{Home, Image, Session};
use lab_plan::Problem;

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
}

/// What the command line says about logging in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) identity: Option<PathBuf>,
}

/// Becomes `ssh`, and returns only when that fails.
pub(crate) async fn connect(session: &Session, host: &str, login: Login, command: &[String]) -> Result<(), Problem> {
    let way = find_ways(session, &[host.to_owned()], login).await?.pop().ok_or_else(|| {
        let fix = format!("host-up up {host}");
        Problem::failed(format!("host `{host}` is not running, or has no address yet")).fix(fix)
    })?;
    let error = Command::new("ssh").args(way.arguments()).args(command).exec();
    Err(Problem::failed("cannot start ssh").because(error.to_string()).fix("install OpenSSH's client"))
}

/// Blocks for `~/.ssh/config`, one a running host.
pub(crate) async fn show_config(session: &Session) -> Result<String, Problem> {
    let ways = find_ways(session, &[], Login::default()).await?;
    if ways.is_empty() {
        return Err(Problem::failed("no host is running").fix("host-up up"));
    }
    Ok(ways.iter().map(Way::show_block).collect::<Vec<_>>().join("\n"))
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
    })
}

impl Way {
    fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![
            ("UserKnownHostsFile", quote(&self.known_hosts)),
            ("HostKeyAlias", self.alias.clone()),
            ("StrictHostKeyChecking", "accept-new".into()),
        ];
        if let Some(identity) = &self.identity {
            options.push(("IdentityFile", quote(identity)));
            options.push(("IdentitiesOnly", "yes".into()));
        }
        options
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
                        -o StrictHostKeyChecking=accept-new -o IdentityFile=\"/home/ada/my labs/ssh-key\" \
                        -o IdentitiesOnly=yes -l ec2-user 203.0.113.7";
        assert_eq!(text, expected);
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
