//! A lab file as its author gets it wrong.

use proptest::prelude::*;

use super::*;
use crate::{Image, Images, Mode, Source};

fn read(text: &str) -> Result<Lab, Problem> {
    read_lab("lab.toml", text, &Overrides { owner: Some("ada".into()), region: None })
}

/// HOL 02 with one text replaced; the text must be there.
fn changed(old: &str, new: &str) -> String {
    assert!(HOL02.contains(old), "{old:?} is not in the built-in lab");
    HOL02.replacen(old, new, 1)
}

/// The problem of HOL 02 with that change.
fn problem(old: &str, new: &str) -> String {
    let problem = read(&changed(old, new)).expect_err(new);
    assert_eq!(problem.exit().code(), 2, "{problem}");
    problem.to_string()
}

#[test]
fn the_built_in_lab_is_the_assignment() {
    let lab = read(HOL02).unwrap();
    assert_eq!((lab.name.as_str(), lab.owner.as_str(), lab.region.as_deref()), ("lab", "ada", Some("us-east-1")));
    assert_eq!(lab.network.cidr.to_string(), "10.0.0.0/16");
    let host = lab.host("public").unwrap();
    assert_eq!((&host.image, host.size.as_str(), host.disk_gb), (&Image::AmazonLinux2023, "t3.micro", 8));
    assert_eq!(lab.host("private").unwrap().allow[0].from, Source::Vpn);
    let images = lab.images.unwrap();
    assert_eq!((images.input.as_str(), images.output.as_str()), ("lab-input-bucket-ada", "lab-output-bucket-ada"));
    assert_eq!((images.function.as_str(), images.mode), ("lab-lambda-function", Mode::Png));
    let vpn = lab.vpn.unwrap();
    assert_eq!(vpn.allow_networks, [lab.network.cidr], "the VPC is what clients reach unless said otherwise");
}

#[test]
fn five_mistakes_are_told_in_one_go_each_with_its_place() {
    let text = r#"name = "lab"
owner = "ada"
acount = "own"

[network]
cidr = "10.0.0.0/16"
subnets.public  = { cidr = "10.1.1.0/24", internet = "gateway" }
subnets.private = { cidr = "10.0.2.7/24", internet = "none" }

[hosts.public]
subnet = "pubic"
image = "amazon-linux-2023"
allow = [{ port = 70000, from = "me" }]
"#;
    let problem = read(text).unwrap_err().to_string();
    let expected = [
        "lab.toml has 5 problems:",
        "lab.toml:3:1: unknown key `acount` at the top\n  fix: did you mean `account`?",
        "lab.toml:7:28: network.subnets.public.cidr = \"10.1.1.0/24\" is not inside the VPC's 10.0.0.0/16",
        "lab.toml:8:28: network.subnets.private.cidr = \"10.0.2.7/24\" has bits set behind its prefix\n  fix: write \"10.0.2.0/24\"",
        "lab.toml:11:10: hosts.public.subnet = \"pubic\" is not a subnet of [network]\n  fix: did you mean `public`?",
        "lab.toml:13:19: hosts.public.allow.port = 70000 is out of bounds\n  fix: write a number from 1 to 65535",
    ];
    for part in expected {
        assert!(problem.contains(part), "{part:?} is missing from\n{problem}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line_and_without_follow_up_complaints() {
    let problem = problem("cidr = \"10.0.0.0/16\"", "cidr = 10.0.0.0/16");
    assert!(problem.starts_with("lab.toml:"), "{problem}");
    assert!(problem.contains("not TOML"), "{problem}");
    assert!(!problem.contains("missing"), "{problem}");
}

#[test]
fn each_mistake_is_named_with_its_remedy() {
    for (old, new, what, fix) in [
        (
            "name = \"lab\" ",
            "name = \"Lab\" ",
            "name = \"Lab\" has characters that a bucket name cannot bear",
            "lower-case",
        ),
        ("name = \"lab\" ", "name = \"sg-lab\" ", "names that EC2 keeps for its own ids", "a letter first"),
        ("name = \"lab\" ", "name = \"1lab\" ", "does not begin with a letter", "a letter first"),
        ("[hosts.public]", "[hosts.vpn]", "a host cannot be called `vpn`", "another name"),
        ("cidr = \"10.0.0.0/16\"", "cidr = \"10.0.0.0/8\"", "prefix length that AWS does not take here", "/16 to /28"),
        ("10.0.2.0/24", "10.0.1.128/25", "overlaps 10.0.1.0/24 of subnet `public`", "addresses of its own"),
        ("internet = \"none\"", "internet = \"nome\"", "internet = \"nome\" is not known", "did you mean `none`?"),
        ("amazon-linux-2023", "amazon-linux-2032", "is not an image", "did you mean `amazon-linux-2023`?"),
        ("size = \"t3.micro\"", "size = \"micro\"", "is not an instance type", "t3.micro"),
        ("size = \"t3.micro\"", "size = \"t3.mcro\"", "is not an instance type", "did you mean `t3.micro`?"),
        ("runs = \"jupyter\"", "runs = \"jupiter\"", "is not known", "did you mean `jupyter`?"),
        ("from = \"me\"", "from = \"host:privat\"", "names no host of this lab", "did you mean `private`?"),
        ("from = \"me\"", "from = \"mee\"", "is not a source", "me, vpn, anywhere, host:NAME"),
        ("from = \"me\"", "from = \"1.2.3.4/33\"", "is not an IPv4 CIDR block", "prefix length"),
        ("lab-output-bucket-{owner}", "lab-input-bucket-{owner}", "is the input bucket too", "bucket of its own"),
        ("lab-input-bucket-{owner}", "lab_input", "is no bucket name", "3 to 63"),
        ("lab-input-bucket-{owner}", "in-{user}", "has an unknown placeholder", "{owner}"),
        ("function = \"lab-lambda-function\"", "function = \"a b\"", "is no function name", "64 letters"),
        ("10.83.0.0/16", "10.83.0.0/23", "prefix length that AWS does not take here", "/12 to /22"),
        ("10.83.0.0/16", "10.0.0.0/16", "overlaps the VPC's 10.0.0.0/16", "addresses of their own"),
        ("clients = [\"laptop\"]", "clients = [\"a/b\"]", "is no client name", "letters, digits"),
        ("usd = 50.0", "usd = -1", "budget.usd = -1 is out of bounds", "0 or more"),
        ("usd = 50.0", "usd = 50.0\nusd = 60.0", "`usd` stands here a second time", "keep one"),
        ("usd = 50.0", "usd = \"50\"", "budget.usd is of type string", "0 or more"),
        ("hours = 4", "hours = 0", "budget.hours = 0 is out of bounds", "more than 0"),
        ("region = \"us-east-1\"", "region = \"useast1\"", "is not the name of a Region", "us-east-1"),
        ("[budget]", "[bugdet]", "unknown key `bugdet` at the top", "did you mean `budget`?"),
        ("account = \"auto\"", "account = \"academie\"", "is not known", "did you mean `academy`?"),
    ] {
        let problem = problem(old, new);
        assert!(problem.contains(what), "{what:?} is missing from\n{problem}");
        assert!(problem.contains(fix), "{fix:?} is missing from\n{problem}");
    }
}

/// `[images]` of HOL 02 with these lines more.
fn images_with(lines: &str) -> String {
    const FUNCTION: &str = "function = \"lab-lambda-function\"\n";
    changed(FUNCTION, &format!("{FUNCTION}{lines}\n"))
}

#[test]
fn hol_02_has_a_recipe_of_nothing_and_no_queue() {
    let images = read(HOL02).unwrap().images.unwrap();
    assert!(images.recipe.is_empty());
    assert_eq!((images.queue, images.dead_letters, images.concurrency), (false, false, None));
    assert_eq!(images.environment().into_keys().collect::<Vec<_>>(), ["MODE", "OUTPUT_BUCKET"]);
}

#[test]
fn every_word_of_images_reaches_the_function() {
    let lines = r##"format = "jpeg"
width = 720
height = 0x10
fit = "cover"
enlarge = true
grayscale = false
quality = 80
background = "#0A0b0C"
watermark = " © Lab "
depth = "8"
queue = true
concurrency = 20
arch = "arm64"
max_pixels = 60_000_000
record_seconds = 30"##;
    let images = read(&images_with(lines)).unwrap().images.unwrap();
    assert_eq!((images.queue, images.dead_letters, images.concurrency), (true, true, Some(20)));
    assert_eq!(images.arch.as_str(), "arm64");
    let environment = images.environment();
    for (name, value) in [
        ("FORMAT", "jpeg"),
        ("WIDTH", "720"),
        ("HEIGHT", "16"),
        ("FIT", "cover"),
        ("ENLARGE", "true"),
        ("GRAYSCALE", "false"),
        ("QUALITY", "80"),
        ("BACKGROUND", "#0a0b0c"),
        ("WATERMARK", "© Lab"),
        ("DEPTH", "8"),
        ("MAX_PIXELS", "60000000"),
        ("RECORD_SECONDS", "30"),
    ] {
        assert_eq!(environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(environment.keys().all(|name| Images::variables().any(|known| known == *name)));
    let set = read(&images_with("sizes = [200, 720]")).unwrap().images.unwrap();
    assert_eq!(set.environment()["SIZES"], "200,720");
    assert_eq!(set.result_keys("a.jpg"), ["a-200-processed.png", "a-720-processed.png"]);
}

#[test]
fn what_no_recipe_can_say_is_told_where_it_stands() {
    for (line, what, fix) in [
        ("format = \"gif\"", "images.format = \"gif\" is not known", "png, jpeg, webp"),
        ("width = 0", "31:9: images.width = 0 is out of bounds", "1 to 16383"),
        ("fit = \"cover\"", "images.fit says nothing without width or height", "add one"),
        ("width = 5\nfit = \"contain\"", "32:7: images.fit = \"contain\" is not known", "fit, cover, exact"),
        ("sizes = [200]\nwidth = 5", "images.sizes stands beside width or height", "keep one"),
        ("sizes = []", "images.sizes is empty", "[200, 720]"),
        ("sizes = [1, 2, 1]", "31:16: images.sizes has 1 twice", "remove one"),
        ("sizes = [1, \"2\"]", "images.sizes is of type string", "a whole number"),
        ("sizes = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", "images.sizes has 17 sizes", "16 at most"),
        ("quality = 101", "images.quality = 101 is out of bounds", "1 to 100"),
        ("background = \"#fff\"", "images.background = \"#fff\" is no colour", "#ffffff"),
        ("watermark = \"a\\nb\"", "images.watermark is no line", "one line"),
        ("depth = \"9\"", "images.depth = \"9\" is not known", "8"),
        ("mode = \"copy\"\nwidth = 5", "32:9: images.width says nothing with mode = \"copy\"", "remove"),
        ("queue = true\nconcurrency = 1", "images.concurrency = 1 with queue = true", "2 or more"),
        ("queue = true\ndead_letters = false", "images.dead_letters = false with queue = true", "remove the line"),
        ("concurrency = 1001", "images.concurrency = 1001 is out of bounds", "1 to 1000"),
        ("arch = \"arm\"", "images.arch = \"arm\" is not known", "did you mean `arm64`?"),
        ("record_seconds = 61", "images.record_seconds = 61 is more than timeout_s = 60", "raise timeout_s"),
        ("qualty = 80", "unknown key `qualty` in [images]", "did you mean `quality`?"),
    ] {
        let problem = read(&images_with(line)).expect_err(line).to_string();
        assert!(problem.contains(what), "{what:?} is missing from\n{problem}");
        assert!(problem.contains(fix), "{fix:?} is missing from\n{problem}");
    }
}

#[test]
fn what_client_vpn_cannot_take_is_told_where_it_stands() {
    const CLIENTS: &str = "clients = [\"laptop\"]";
    let many = |count: usize| (0..count).map(|n| format!("\"192.168.{}.{}/32\"", n / 256, n % 256)).collect::<Vec<_>>();
    let with = |line: &str| problem(CLIENTS, &format!("{CLIENTS}\n{line}"));
    for (line, what, fix) in [
        (
            "routes = [\"0.0.0.0/0\"]",
            "36:11: vpn.routes sends everything through a split tunnel",
            "split_tunnel = false",
        ),
        ("routes = [\"10.0.0.0/16\"]", "the VPC's own block", "comes with the association"),
        ("routes = [\"10.83.4.0/24\"]", "overlaps the clients' 10.83.0.0/16", "addresses of their own"),
        ("routes = [\"10.0.0.0/8\"]", "overlaps the clients' 10.83.0.0/16", "addresses of their own"),
        ("routes = [\"192.168.0.0/24\", \"192.168.0.0/24\"]", "has \"192.168.0.0/24\" twice", "remove one"),
        ("allow_networks = []", "vpn.allow_networks lets clients reach nothing", "the VPC's block"),
        ("allow_networks = [\"10.0.2.9/24\"]", "has bits set behind its prefix", "10.0.2.0/24"),
        ("log_days = 8", "vpn.log_days = 8 is not possible", "0, 1, 3, 5, 7, 14"),
        ("session_hours = 9", "vpn.session_hours = 9 is not possible", "8, 10, 12, 24"),
        ("port = 1195", "vpn.port = 1195 is not possible", "443, 1194"),
        ("transport = \"upd\"", "vpn.transport = \"upd\" is not known", "did you mean `udp`?"),
    ] {
        let problem = with(line);
        assert!(problem.contains(what), "{what:?} is missing from\n{problem}");
        assert!(problem.contains(fix), "{fix:?} is missing from\n{problem}");
    }
    let problem = with(&format!("routes = [{}]", many(101).join(", ")));
    assert!(problem.contains("101 blocks, more than the 100 of an endpoint"), "{problem}");
    let problem = with(&format!("allow_networks = [{}]", many(201).join(", ")));
    assert!(problem.contains("201 blocks, more than the 200 of an endpoint"), "{problem}");
    let open = changed(CLIENTS, &format!("{CLIENTS}\nsplit_tunnel = false\nroutes = [\"0.0.0.0/0\"]"));
    assert_eq!(read(&open).unwrap().vpn.unwrap().routes.len(), 1, "all traffic may take a tunnel that is not split");
}

#[test]
fn the_subnets_of_the_vpn_are_known_apart_and_large_enough() {
    let with = |public: &str, private: &str, names: &str| {
        let text = HOL02
            .replace("10.0.1.0/24\", internet = \"gateway\"", public)
            .replace("10.0.2.0/24\", internet = \"none\"", private)
            .replace(
                "[vpn]\nclient_cidr = \"10.83.0.0/16\"\nsubnet = \"public\"",
                &format!("[vpn]\nclient_cidr = \"10.83.0.0/16\"\nsubnet = {names}"),
            );
        read(&text).map(|lab| lab.vpn.unwrap().subnets)
    };
    let (public, private) = ("10.0.1.0/24\", zone = \"a\"", "10.0.2.0/24\", zone = \"b\"");
    assert_eq!(with(public, private, "[\"public\", \"private\"]").unwrap(), ["public", "private"]);
    for (public, private, names, what) in [
        (
            public,
            "10.0.2.0/24\", zone = \"a\"",
            "[\"public\", \"private\"]",
            "\"public\" and \"private\" are in one zone",
        ),
        (public, private, "[\"public\", \"public\"]", "names \"public\" twice"),
        (public, private, "\"pubic\"", "did you mean `public`?"),
        (public, private, "[]", "vpn.subnet is empty"),
        ("10.0.1.0/28\", zone = \"a\"", private, "\"public\"", "10.0.1.0/28 is too small"),
    ] {
        let problem = with(public, private, names).unwrap_err().to_string();
        assert!(problem.contains(what), "{what:?} is missing from\n{problem}");
    }
    assert!(with("10.0.1.0/27\", zone = \"a\"", private, "\"public\"").is_ok(), "/27 is large enough");
}

#[test]
fn an_owner_that_no_bucket_can_bear_is_refused_with_one_that_fits() {
    let read = |owner: &str| {
        read_lab("lab.toml", HOL02, &Overrides { owner: Some(owner.into()), region: None }).map(|lab| lab.owner)
    };
    assert_eq!(read("ada-2"), Ok("ada-2".into()));
    for (owner, near) in [("Ada Lovelace", "like \"ada-lovelace\""), ("ada_l", "like \"ada-l\""), ("", "use up to 40")]
    {
        let problem = read(owner).unwrap_err();
        assert!(problem.remedy().unwrap().contains(near), "{problem}");
        assert!(problem.what().contains("--owner or LAB_OWNER"), "{problem}");
    }
    assert!(read(&"a".repeat(41)).unwrap_err().what().contains("is too long"));
    let long = HOL02.replace("name = \"lab\" ", "name = \"a-long-name-for-a-lab\" ").replace("-for-a-lab", "");
    let owner = Overrides { owner: Some("b".repeat(41 - 1)), region: None };
    assert!(read_lab("lab.toml", &long, &owner).is_ok(), "11 and 40 characters make a role name of 64");
    let longer = long.replace("a-long-name", "a-long-names");
    let problem = read_lab("lab.toml", &longer, &owner).unwrap_err();
    assert!(problem.what().contains("are too long together"), "{problem}");
    assert!(read("your-name").unwrap_err().what().contains("placeholder"));
}

#[test]
fn the_file_s_own_placeholder_is_refused_where_it_stands() {
    let problem = read_lab("hol02", HOL02, &Overrides::default()).unwrap_err();
    assert!(problem.what().starts_with("hol02:4:9: owner = \"your-name\""), "{problem}");
}

#[test]
fn an_academy_account_brings_its_limits() {
    let academy = changed("account = \"auto\"", "account = \"academy\"");
    assert!(read(&academy).is_ok());
    for (old, new, what) in [
        ("us-east-1", "eu-west-1", "has no Region eu-west-1"),
        ("size = \"t3.micro\"", "size = \"m5.xlarge\"", "`m5.xlarge` is larger"),
        ("runs = \"jupyter\"", "runs = \"jupyter\"\ndisk_gb = 200", "200 GB are more than the 100 GB"),
    ] {
        let problem = read(&academy.replacen(old, new, 1)).unwrap_err();
        assert!(problem.what().contains(what), "{problem}");
        assert!(problem.what().starts_with("lab.toml:"), "{problem}");
        assert!(read(&changed(old, new)).is_ok(), "an account of one's own has no such limit");
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn a_damaged_lab_is_read_or_refused_with_a_reason(cut in 0usize..1400, insert in "\\PC{0,6}") {
        let cut = (0..=cut.min(HOL02.len())).rev().find(|&at| HOL02.is_char_boundary(at)).unwrap_or(0);
        let text = format!("{}{insert}{}", &HOL02[..cut], &HOL02[cut..]);
        if let Err(problem) = read(&text) {
            prop_assert_eq!(problem.exit().code(), 2);
            prop_assert!(problem.to_string().contains("fix: "), "{}", problem);
        }
    }
}

#[test]
fn every_size_that_ec2_has_is_one() {
    for size in ["t3.nano", "c7g.16xlarge", "u7i-12tb.224xlarge", "m7i.metal-24xl", "mac2.metal", "i4i.metal"] {
        let lab = read(&changed("t3.micro", size));
        assert!(lab.is_ok(), "{size}: {lab:?}");
    }
}
