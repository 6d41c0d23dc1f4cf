//! What lab.toml wants of the hosts.

use lab_common::{Host, Image, Images, Internet, Lab, Names, Runs, prices};
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
        let public = lab.subnet(&host.subnet).is_some_and(|subnet| subnet.internet == Internet::Gateway);
        let key = host.key.clone().map_or_else(|| Key::Own(names.key_pair()), Key::Existing);
        Self {
            host: host.role.clone(),
            name: names.host(&host.role),
            subnet: host.subnet.clone(),
            public,
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

    /// Whether its size is not in the price table, so that its costs above are too low.
    pub(crate) fn has_unknown_price(&self) -> bool {
        prices::instance(&self.size).is_none()
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

/// The hosts to make where the command line names none: those that this version can set up. What is left out is said.
pub(crate) fn choose_served(lab: &Lab, named: &[String]) -> Vec<String> {
    let (not_yet, served): (Vec<_>, Vec<_>) = lab.hosts.iter().partition(|host| host.runs == Some(Runs::Filegator));
    if !named.is_empty() || not_yet.is_empty() || served.is_empty() {
        return named.to_vec();
    }
    for host in not_yet {
        eprintln!("note: host `{}` is left out: it runs filegator, which this version does not install yet", host.role);
    }
    served.iter().map(|host| host.role.clone()).collect()
}

/// Refuses hosts that this version cannot set up, before anything is called.
pub(crate) fn check_served(lab: &Lab, hosts: &[WantedHost]) -> Result<(), Problem> {
    let (not_yet, served): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.runs == Some(Runs::Filegator));
    let Some(host) = not_yet.first() else { return Ok(()) };
    let problem =
        Problem::usage(format!("host `{}` runs filegator, which this version does not install yet", host.host));
    if served.is_empty() {
        let others = lab.hosts.iter().filter(|host| host.runs != Some(Runs::Filegator));
        let others: Vec<_> = others.map(|host| host.role.as_str()).collect();
        let fix = if others.is_empty() {
            "remove its `runs` for a host that only answers SSH".to_owned()
        } else {
            format!("host-up up {}", others.join(" "))
        };
        return Err(problem.fix(fix));
    }
    let served: Vec<_> = served.iter().map(|host| host.host.as_str()).collect();
    Err(problem.fix(format!("name the others: host-up up {}", served.join(" "))))
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
    fn a_host_that_cannot_be_served_is_refused_with_the_command_for_the_others() {
        let lab = lab();
        assert_eq!(choose_served(&lab, &[]), ["public"]);
        assert_eq!(choose_served(&lab, &["private".into()]), ["private"]);
        let all = want_hosts(&lab, &names(), &[]);
        let problem = check_served(&lab, &all).unwrap_err();
        assert!(problem.to_string().contains("host-up up public"), "{problem}");
        assert_eq!(problem.exit(), lab_plan::Exit::Usage);
        let private = want_hosts(&lab, &names(), &["private".into()]);
        assert!(check_served(&lab, &private).unwrap_err().to_string().contains("host-up up public"));
        assert!(check_served(&lab, &want_hosts(&lab, &names(), &["public".into()])).is_ok());
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
