//! Labs to draw: the built-in one in its states, and what breaks layouts.

#![allow(dead_code, reason = "not every test draws every lab")]

use lab_picture::{Health, Host, Inbound, Part, Pipeline, Presence, Route, Scene, Source, Subnet, View, Vpc, Vpn};

/// Every sample, by name.
pub(crate) fn all() -> Vec<(&'static str, Scene)> {
    vec![
        ("hol02", hol02()),
        ("task1", task1()),
        ("missing", missing()),
        ("drifted", drifted()),
        ("plan", plan()),
        ("nat", nat()),
        ("nothing", nothing()),
        ("hosts-3", hosts(3)),
        ("hosts-30", hosts(30)),
        ("long-names", renamed(LONG)),
        ("cjk", renamed("研究室のネットワーク環境と画像分析サーバー一号機")),
        ("arabic", renamed("خادم الأبحاث للصور الطبية في الجامعة رقم واحد")),
        ("hebrew", renamed("שרת המחקר של האוניברסיטה (web)")),
        ("emoji", renamed("👩‍🔬 lab ✨ 测试 <script>alert(1)</script> & co")),
        ("queue", queue()),
        ("refused", refused()),
        ("steps", steps()),
        ("zones", zones()),
        ("tiers", tiers()),
    ]
}

const LONG: &str = "a-very-long-name-tag-that-somebody-has-typed-in-the-console-because-255-characters-are-allowed-there-\
                    WITHOUT_ANY_SEAM_AT_ALL_abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

/// The built-in lab, whole.
pub(crate) fn hol02() -> Scene {
    Scene {
        lab: "lab".into(),
        owner: "ada".into(),
        region: "us-east-1".into(),
        account: Some("1234".into()),
        at: "2026-11-26 05:10 UTC".into(),
        usd_per_hour: 0.1768,
        laptop: Part::new("Your laptop").line("203.0.113.5").line("VPN client: laptop"),
        vpc: Some(Vpc {
            part: Part::new("lab-vpc").id("vpc-0a1b2c3d4e5f67890"),
            cidr: "10.0.0.0/16".into(),
            gateway: Some(Part::new("lab-igw").id("igw-0a1b2c3d4e5f67890").state("attached", Health::Good)),
            subnets: vec![public_subnet(vec![jupyter("public")]), private_subnet(vec![filegator()])],
            vpn: Some(Vpn {
                part: Part::new("lab-client-vpn-endpoint")
                    .id("cvpn-endpoint-0a1b2c3d4e5f67890")
                    .line("clients 10.83.0.0/16")
                    .state("available", Health::Good)
                    .costs(0.15),
                carrier: "UDP 443".into(),
                subnets: vec![("public".into(), Presence::There)],
            }),
        }),
        pipeline: Some(pipeline()),
        ..Scene::default()
    }
}

/// The first task alone.
fn task1() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        vpc.vpn = None;
        vpc.subnets.truncate(1);
    }
    scene.laptop = Part::new("Your laptop").line("203.0.113.5");
    scene.usd_per_hour = 0.0164;
    scene
}

/// Half of it is not there.
fn missing() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        vpc.subnets[1].part = Part::new("lab-private-subnet").presence(Presence::Missing);
        vpc.subnets[1].zone = None;
        let host = &mut vpc.subnets[1].hosts[0];
        host.part = Part::new("lab-private-ec2").line("t3.micro, ubuntu-24.04").presence(Presence::Missing);
        host.group = Part::new("lab-private-ec2").presence(Presence::Missing);
        for rule in &mut host.inbound {
            rule.presence = Presence::Missing;
        }
        if let Some(vpn) = &mut vpc.vpn {
            vpn.part = Part::new("lab-client-vpn-endpoint").line("clients 10.83.0.0/16").presence(Presence::Missing);
            vpn.subnets = vec![("public".into(), Presence::Missing)];
        }
    }
    if let Some(pipeline) = &mut scene.pipeline {
        pipeline.function = Part::new("lab-lambda-function").presence(Presence::Missing);
        pipeline.trigger.presence = Presence::Missing;
    }
    scene
}

/// Somebody has been at it in the console.
fn drifted() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        let host = &mut vpc.subnets[0].hosts[0];
        host.part.presence = Presence::Drifted;
        host.part.why = Some("t3.large instead of t3.micro".into());
        host.group.presence = Presence::Drifted;
        host.group.why = Some("one rule too many".into());
        host.inbound.push(Inbound { from: Source::Anywhere, ports: "TCP 3389".into(), presence: Presence::Unexpected });
        vpc.subnets[1].part.presence = Presence::Drifted;
        vpc.subnets[1].part.why = Some("it gives hosts public addresses".into());
    }
    scene
        .others
        .push(Part::new("lab-nat-eip").id("eipalloc-0a1b2c3d4e5f67890").presence(Presence::Unexpected).costs(0.005));
    scene.others.push(Part::new("old-disk").id("vol-0a1b2c3d4e5f67890").line("8 GB, in no use").costs(0.0009));
    scene
}

/// What up would do to it.
fn plan() -> Scene {
    let mut scene = missing();
    scene.view = View::Plan;
    let turn = |part: &mut Part| {
        if part.presence == Presence::Missing {
            part.presence = Presence::Add;
        }
    };
    if let Some(vpc) = &mut scene.vpc {
        for subnet in &mut vpc.subnets {
            turn(&mut subnet.part);
            for host in &mut subnet.hosts {
                turn(&mut host.part);
                turn(&mut host.group);
                for rule in &mut host.inbound {
                    if rule.presence == Presence::Missing {
                        rule.presence = Presence::Add;
                    }
                }
            }
        }
        if let Some(vpn) = &mut vpc.vpn {
            turn(&mut vpn.part);
            vpn.subnets[0].1 = Presence::Add;
        }
        let host = &mut vpc.subnets[0].hosts[0];
        host.part.presence = Presence::Change;
        host.part.why = Some("starts it".into());
    }
    if let Some(pipeline) = &mut scene.pipeline {
        turn(&mut pipeline.function);
        turn(&mut pipeline.trigger);
        pipeline.output.presence = Presence::Remove;
    }
    scene
}

/// The NAT window is open.
fn nat() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        vpc.subnets[0].nat = Some(
            Part::new("lab-nat-gateway")
                .id("nat-0a1b2c3d4e5f67890")
                .line("203.0.113.77")
                .state("available", Health::Good)
                .costs(0.05),
        );
        vpc.subnets[1].route = Route::Nat;
    }
    scene
}

/// Nothing of it is there, and nothing is known.
fn nothing() -> Scene {
    Scene {
        lab: "lab".into(),
        owner: "ada".into(),
        region: "us-east-1".into(),
        laptop: Part::new("Your laptop"),
        ..Scene::default()
    }
}

/// So many hosts with the same rules.
pub(crate) fn hosts(count: usize) -> Scene {
    let mut scene = hol02();
    let hosts = (1..=count).map(|at| jupyter(&format!("student-{at:02}")));
    if let Some(vpc) = &mut scene.vpc {
        vpc.subnets[0] = public_subnet(hosts.collect());
    }
    scene
}

/// Everything has this name.
fn renamed(name: &str) -> Scene {
    let mut scene = nat();
    scene.lab = name.into();
    let rename = |part: &mut Part| name.clone_into(&mut part.name);
    rename(&mut scene.laptop);
    if let Some(vpc) = &mut scene.vpc {
        rename(&mut vpc.part);
        vpc.gateway.iter_mut().for_each(rename);
        vpc.vpn.iter_mut().for_each(|vpn| rename(&mut vpn.part));
        for subnet in &mut vpc.subnets {
            rename(&mut subnet.part);
            subnet.part.presence = Presence::Drifted;
            for host in &mut subnet.hosts {
                rename(&mut host.part);
                rename(&mut host.group);
                host.part.state = Some((name.into(), Health::Busy));
            }
        }
    }
    if let Some(pipeline) = &mut scene.pipeline {
        for part in [&mut pipeline.input, &mut pipeline.output, &mut pipeline.function, &mut pipeline.trigger] {
            rename(part);
        }
    }
    scene
}

fn queue() -> Scene {
    let mut scene = hol02();
    if let Some(pipeline) = &mut scene.pipeline {
        pipeline.queue = Some(
            Part::new("lab-image-queue-ada")
                .line("0 messages wait")
                .line("dead letters: 2")
                .state("active", Health::Good),
        );
    }
    scene
}

/// What up refuses: the function is another owner's.
fn refused() -> Scene {
    let mut scene = plan();
    scene.usd_per_hour_after = Some(0.2);
    if let Some(pipeline) = &mut scene.pipeline {
        pipeline.function.presence = Presence::Blocked;
        pipeline.function.why = Some("function lab-lambda-function exists, but it is not this lab's".into());
        pipeline.input.presence = Presence::Missing;
        pipeline.output.presence = Presence::Missing;
        pipeline.trigger.presence = Presence::Missing;
    }
    scene
}

/// Ten hosts with the same rules, two of which others let in.
pub(crate) fn steps() -> Scene {
    let mut scene = hosts(10);
    if let Some(vpc) = &mut scene.vpc {
        let from = |role: &str, ports: &str| Inbound {
            from: Source::Host(role.into()),
            ports: ports.into(),
            presence: Presence::There,
        };
        vpc.subnets[1].hosts[0].inbound.push(from("student-01", "TCP 5432"));
        vpc.subnets[1].hosts[0].inbound.push(from("student-04", "TCP 8443"));
    }
    scene
}

/// Two zones with both tiers each, and hosts that speak to each other.
fn zones() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        let named = |mut subnet: Subnet, role: &str, zone: &str| {
            subnet.role = role.into();
            subnet.part.name = format!("lab-{role}-subnet");
            subnet.zone = Some(zone.into());
            subnet
        };
        let mut database = filegator();
        database.role = "database".into();
        database.part = Part::new("lab-database-ec2").state("running", Health::Good);
        database.group = Part::new("lab-database-ec2");
        database.inbound = vec![
            Inbound { from: Source::Host("public".into()), ports: "TCP 5432".into(), presence: Presence::There },
            Inbound { from: Source::Network("10.9.0.0/16".into()), ports: "TCP 22".into(), presence: Presence::There },
        ];
        vpc.subnets = vec![
            named(public_subnet(vec![jupyter("public")]), "public", "us-east-1a"),
            named(private_subnet(vec![filegator(), database]), "private", "us-east-1a"),
            named(public_subnet(vec![jupyter("second")]), "second", "us-east-1b"),
            named(private_subnet(vec![filegator()]), "fourth", "us-east-1b"),
        ];
        if let Some(vpn) = &mut vpc.vpn {
            vpn.subnets.push(("second".into(), Presence::There));
        }
    }
    scene
}

/// Web, application and database, each letting in the one before.
fn tiers() -> Scene {
    let mut scene = hol02();
    if let Some(vpc) = &mut scene.vpc {
        let tier = |role: &str, from: &str, port: u16| Host {
            part: Part::new(format!("lab-{role}-ec2")).id(format!("i-{role}")).state("stopped", Health::Off),
            role: role.into(),
            group: Part::new(format!("lab-{role}-ec2")),
            inbound: vec![
                Inbound { from: Source::Host(from.into()), ports: format!("TCP {port}"), presence: Presence::There },
                Inbound { from: Source::Vpn, ports: "TCP 22".into(), presence: Presence::There },
            ],
            writes: false,
            writing: Presence::There,
        };
        vpc.subnets[1].hosts = vec![tier("application", "public", 8080), tier("database", "application", 5432)];
    }
    scene
}

fn public_subnet(hosts: Vec<Host>) -> Subnet {
    Subnet {
        part: Part::new("lab-public-subnet").id("subnet-0a1b2c3d4e5f67890"),
        role: "public".into(),
        cidr: "10.0.1.0/24".into(),
        zone: Some("us-east-1a".into()),
        route: Route::Gateway,
        hosts,
        nat: None,
    }
}

fn private_subnet(hosts: Vec<Host>) -> Subnet {
    Subnet {
        part: Part::new("lab-private-subnet").id("subnet-0b1b2c3d4e5f67890"),
        role: "private".into(),
        cidr: "10.0.2.0/24".into(),
        zone: Some("us-east-1a".into()),
        route: Route::None,
        hosts,
        nat: None,
    }
}

fn jupyter(role: &str) -> Host {
    let me = || Source::Laptop("203.0.113.5/32".into());
    Host {
        part: Part::new(format!("lab-{role}-ec2"))
            .id("i-0a1b2c3d4e5f67890")
            .line("t3.micro, Jupyter")
            .line("10.0.1.23 · 203.0.113.7")
            .state("running", Health::Good)
            .costs(0.0164),
        role: role.into(),
        group: Part::new(format!("lab-{role}-ec2")),
        inbound: vec![Inbound { from: me(), ports: "TCP 22, 8888".into(), presence: Presence::There }],
        writes: true,
        writing: Presence::There,
    }
}

fn filegator() -> Host {
    Host {
        part: Part::new("lab-private-ec2")
            .id("i-0b1b2c3d4e5f67890")
            .line("t3.micro, FileGator")
            .line("10.0.2.40")
            .state("running", Health::Good)
            .costs(0.0104),
        role: "private".into(),
        group: Part::new("lab-private-ec2"),
        inbound: vec![Inbound { from: Source::Vpn, ports: "TCP 22, 8080".into(), presence: Presence::There }],
        writes: false,
        writing: Presence::There,
    }
}

fn pipeline() -> Pipeline {
    Pipeline {
        input: Part::new("lab-input-bucket-ada").line("holds 1 object"),
        trigger: Part::new("s3:ObjectCreated:*").line("every key"),
        queue: None,
        takes: Part::default(),
        writes: Part::default(),
        function: Part::new("lab-lambda-function").line("512 MB, 60 s").state("Active", Health::Good),
        output: Part::new("lab-output-bucket-ada").line("holds 1 object"),
    }
}
