//! What lab.toml wants of the hosts.

use lab_common::{Host, Image, Images, Lab, Names, Protocol, Runs, Source, prices};
use lab_plan::Problem;

/// A host as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedHost {
    /// Its key in lab.toml (`public`).
    pub(crate) host: String,
    /// Its name in the console.
    pub(crate) name: String,
    /// Its subnet's key in lab.toml.
    pub(crate) subnet: String,
    /// Whether its subnet hands out public addresses.
    pub(crate) public: bool,
    pub(crate) image: Image,
    pub(crate) size: String,
    pub(crate) runs: Option<Runs>,
    pub(crate) key: Key,
    /// Whether its programs use the lab's buckets.
    pub(crate) uses_buckets: bool,
    /// Its root volume in GB.
    pub(crate) disk_gb: i32,
}

/// The key pair that opens a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The lab's own, which is made and deleted here.
    Own(String),
    /// One that exists and is never touched.
    Existing(String),
}

impl Key {
    /// The key pair's name in EC2.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Own(name) | Self::Existing(name) => name,
        }
    }
}

impl WantedHost {
    fn new(host: &Host, lab: &Lab, names: &Names) -> Self {
        let key = host.key.clone().map_or_else(|| Key::Own(names.key_pair()), Key::Existing);
        Self {
            host: host.role.clone(),
            name: names.host(&host.role),
            subnet: host.subnet.clone(),
            public: lab.is_public(host),
            image: host.image.clone(),
            size: host.size.clone(),
            runs: host.runs,
            key,
            uses_buckets: host.runs == Some(Runs::Jupyter) && lab.images.is_some(),
            disk_gb: host.disk_gb,
        }
    }

    /// What it costs while it runs, in US dollars an hour, its volume and its public address included. A size without
    /// a known price counts as nothing.
    pub(crate) fn usd_per_hour(&self) -> f64 {
        self.usd_per_running_hour() + prices::gp3(self.disk_gb)
    }

    /// Whether its setup needs the internet and its subnet has no way there but a NAT window.
    pub(crate) fn waits_for_internet(&self) -> bool {
        self.runs.is_some() && !self.public
    }

    /// The question to be asked before it is made, where its size is not in the price table: a budget cannot guard what
    /// has no price, and its costs above are too low.
    pub(crate) fn ask_price(&self) -> Option<String> {
        let unknown = prices::instance(&self.size).is_none();
        unknown.then(|| format!("{} costs what the price table does not know ({})", self.name, self.size))
    }

    /// What starting it adds, in US dollars an hour.
    pub(crate) fn usd_per_running_hour(&self) -> f64 {
        let address = if self.public { prices::PUBLIC_IPV4 } else { 0.0 };
        prices::instance(&self.size).unwrap_or(0.0) + address
    }
}

/// The word of lab.toml for what a host runs; also the value of its tag.
pub(crate) fn name_runs(runs: Option<Runs>) -> &'static str {
    match runs {
        None => "nothing",
        Some(Runs::Jupyter) => "jupyter",
        Some(Runs::Filegator) => "filegator",
    }
}

/// The hosts of the lab, or those of them that `names` lists.
pub(crate) fn want_hosts(lab: &Lab, names: &Names, hosts: &[String]) -> Vec<WantedHost> {
    let chosen = lab.hosts.iter().filter(|host| hosts.is_empty() || hosts.contains(&host.role));
    chosen.map(|host| WantedHost::new(host, lab, names)).collect()
}

/// Checks the hosts that the command line names against lab.toml.
pub(crate) fn check_hosts(lab: &Lab, hosts: &[String]) -> Result<(), Problem> {
    let Some(unknown) = hosts.iter().find(|host| lab.host(host).is_none()) else { return Ok(()) };
    Err(Problem::usage(format!("the lab has no host `{unknown}`")).fix(list_hosts(lab)))
}

fn list_hosts(lab: &Lab) -> String {
    if lab.hosts.is_empty() {
        return "add a [hosts.NAME] section to lab.toml".into();
    }
    let known: Vec<_> = lab.hosts.iter().map(|host| host.role.as_str()).collect();
    format!("its hosts are: {}", known.join(", "))
}

/// Checks, before anything is called, that `via` may be the way to each of `hosts`.
pub(crate) fn check_via(lab: &Lab, via: Option<&str>, hosts: &[&str]) -> Result<(), Problem> {
    let Some(via) = via else { return Ok(()) };
    check_hosts(lab, &[via.to_owned()])?;
    if !lab.host(via).is_some_and(|host| lab.is_public(host)) {
        let what = format!("host `{via}` has no public address, so nobody gets further through it");
        return Err(Problem::usage(what).fix("name a host whose subnet has internet = \"gateway\""));
    }
    match hosts.iter().find(|host| !admits_ssh_from(lab, host, via)) {
        None => Ok(()),
        Some(host) if *host == via => {
            Err(Problem::usage(format!("host `{host}` is not reached through itself")).fix("leave --via out"))
        }
        Some(host) => {
            let what = format!("lab.toml does not let host `{via}` reach port 22 of host `{host}`");
            let fix = format!(
                "add {{ port = 22, from = \"host:{via}\" }} to `allow` of [hosts.{host}], and apply it: net-up"
            );
            Err(Problem::usage(what).fix(fix))
        }
    }
}

/// Whether lab.toml's rules let SSH in from another host of the lab.
fn admits_ssh_from(lab: &Lab, host: &str, other: &str) -> bool {
    let block = lab.host(other).and_then(|other| lab.subnet(&other.subnet)).map(|subnet| subnet.cidr);
    let admits = |from: &Source| match from {
        Source::Host(role) => role == other,
        Source::Anywhere => true,
        Source::Cidr(cidr) => block.is_some_and(|block| cidr.contains(&block)),
        Source::Me | Source::Vpn => false,
    };
    let rules = lab.host(host).map(|host| host.allow.as_slice()).unwrap_or_default();
    let ssh = rules.iter().filter(|rule| rule.port == 22 && rule.protocol == Protocol::Tcp);
    host != other && ssh.map(|rule| &rule.from).any(admits)
}

/// The policy that lets a host read, list and write the lab's two buckets, and nothing else.
pub(crate) fn bucket_policy(images: &Images, partition: &str) -> serde_json::Value {
    let buckets = [&images.input, &images.output].map(|bucket| format!("arn:{partition}:s3:::{bucket}"));
    let objects = buckets.clone().map(|bucket| format!("{bucket}/*"));
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "ListBuckets", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": buckets},
            {"Sid": "ReadAndWriteObjects", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
             "Resource": objects},
        ]
    })
}

/// The policy that lets EC2 hand the role to instances.
pub(crate) fn trust_policy() -> serde_json::Value {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{lab, names};

    #[test]
    fn the_public_host_of_hol02_is_the_seed_s() {
        let lab = lab();
        let hosts = want_hosts(&lab, &names(), &["public".into()]);
        let [host] = hosts.as_slice() else { panic!("one host") };
        assert_eq!(host.name, "lab-public-ec2");
        assert_eq!(host.key, Key::Own("lab-key-ada".into()));
        assert!(host.public && host.uses_buckets);
        let expected = 0.0104 + 0.005 + 8.0 * 0.08 / 730.0;
        assert!((host.usd_per_hour() - expected).abs() < 1e-9);
    }

    #[test]
    fn only_the_private_host_waits_for_a_nat_window() {
        let waits = want_hosts(&lab(), &names(), &[]);
        let waits: Vec<_> = waits.iter().map(|host| (host.host.as_str(), host.waits_for_internet())).collect();
        assert_eq!(waits, [("public", false), ("private", true)]);
    }

    #[test]
    fn a_jump_host_needs_a_rule_in_lab_toml_and_the_missing_line_is_shown() {
        let mut lab = lab();
        let problem = check_via(&lab, Some("public"), &["private"]).unwrap_err();
        assert_eq!(problem.exit(), lab_plan::Exit::Usage);
        assert!(problem.to_string().contains(r#"{ port = 22, from = "host:public" }"#), "{problem}");
        for (via, host, words) in [
            ("private", "public", "no public address"),
            ("public", "public", "through itself"),
            ("pubic", "private", "its hosts are: public, private"),
        ] {
            let problem = check_via(&lab, Some(via), &[host]).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
        assert!(check_via(&lab, None, &["private"]).is_ok());
        for from in [Source::Host("public".into()), Source::Cidr("10.0.0.0/16".parse().unwrap()), Source::Anywhere] {
            lab.hosts[1].allow = vec![lab_common::Allow { port: 22, protocol: Protocol::Tcp, from }];
            assert!(check_via(&lab, Some("public"), &["private"]).is_ok());
        }
        lab.hosts[1].allow[0].from = Source::Cidr("10.0.1.0/28".parse().unwrap());
        assert!(check_via(&lab, Some("public"), &["private"]).is_err(), "not the whole subnet");
    }

    #[test]
    fn an_unknown_host_is_refused_with_the_known_ones() {
        let problem = check_hosts(&lab(), &["pubic".into()]).unwrap_err();
        assert!(problem.to_string().contains("public, private"), "{problem}");
    }

    #[test]
    fn the_policy_reaches_two_buckets_and_cannot_delete() {
        let lab = lab();
        let text = bucket_policy(lab.images.as_ref().unwrap(), "aws-cn").to_string();
        assert!(text.contains("arn:aws-cn:s3:::lab-input-bucket-ada/*"));
        assert!(!text.contains("Delete") && !text.contains("\"*\""));
    }
}
