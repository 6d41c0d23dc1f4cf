//! What a reader of a picture would notice: texts over each other, texts cut off, lines through texts, parts not shown.

mod samples;

use std::time::Instant;

use lab_picture::{
    Drawing, Group, Host, Inbound, Label, Part, Point, Presence, Rect, Scene, Shape, Source, arrange, arrange_all,
    arrange_list, choose_scale, to_svg,
};
use proptest::prelude::*;

/// Everything that a picture must not do.
fn find_faults(drawing: &Drawing) -> Vec<String> {
    let canvas = Rect { x: 0.0, y: 0.0, width: drawing.width, height: drawing.height };
    let labels: Vec<&Label> = drawing.labels().collect();
    let mut faults = Vec::new();
    for (at, label) in labels.iter().enumerate() {
        if !canvas.contains(&label.rect) {
            faults.push(format!("{:?} is outside of the canvas", label.text));
        }
        for other in &labels[..at] {
            if label.rect.overlaps(&other.rect) {
                faults.push(format!("{:?} and {:?} overlap", label.text, other.text));
            }
        }
        for line in drawing.lines() {
            if line.windows(2).any(|part| crosses(&label.rect, part)) {
                faults.push(format!("a line crosses {:?}", label.text));
            }
        }
    }
    faults.extend(find_box_faults(drawing, &canvas));
    faults
}

/// Cards and frames lie in each other or beside each other, and texts do not stand on their edges.
fn find_box_faults(drawing: &Drawing, canvas: &Rect) -> Vec<String> {
    let is_mark = |class: &str| class.starts_with("lp-chip");
    let boxes: Vec<_> = drawing.boxes().filter(|(_, class)| !is_mark(class)).collect();
    let mut faults = Vec::new();
    for (at, (one, class)) in boxes.iter().enumerate() {
        if !canvas.contains(one) {
            faults.push(format!("{class} is outside of the canvas"));
        }
        for (other, beside) in &boxes[..at] {
            if one.overlaps(other) && !one.contains(other) && !other.contains(one) {
                faults.push(format!("{class} {one:?} and {beside} {other:?} overlap"));
            }
        }
        for label in drawing.labels().filter(|label| label.class != "lp-on-chip") {
            if label.rect.overlaps(one) && !one.contains(&label.rect) {
                faults.push(format!("{:?} stands on the edge of {class}", label.text));
            }
        }
    }
    faults
}

/// Whether a level or upright part of a line goes through a text; the letters themselves, not the air around them.
fn crosses(text: &Rect, part: &[Point]) -> bool {
    let (left, right) = (part[0].x.min(part[1].x), part[0].x.max(part[1].x));
    let (top, bottom) = (part[0].y.min(part[1].y), part[0].y.max(part[1].y));
    left < text.right() && text.x < right.max(left + 0.1) && top < text.bottom() && text.y < bottom.max(top + 0.1)
}

fn count_crossings(drawing: &Drawing) -> usize {
    let lines: Vec<_> = drawing.lines().collect();
    let inside = |value: f64, one: f64, two: f64| one.min(two) + 1.0 < value && value < one.max(two) - 1.0;
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        for other in &lines[..at] {
            for one in line.windows(2) {
                for two in other.windows(2) {
                    let cross = |flat: &[Point], upright: &[Point]| {
                        (flat[0].y - flat[1].y).abs() < 0.5
                            && (upright[0].x - upright[1].x).abs() < 0.5
                            && inside(upright[0].x, flat[0].x, flat[1].x)
                            && inside(flat[0].y, upright[0].y, upright[1].y)
                    };
                    count += usize::from(cross(one, two) || cross(two, one));
                }
            }
        }
    }
    count
}

#[test]
fn no_sample_has_a_fault() {
    for (name, scene) in samples::all() {
        let faults = find_faults(&arrange(&scene));
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[test]
fn no_line_of_the_built_in_lab_crosses_another_in_any_of_its_states() {
    for (name, scene) in samples::all() {
        if !["zones", "tiers", "steps"].contains(&name) {
            assert_eq!(count_crossings(&arrange(&scene)), 0, "{name}");
        }
    }
}

#[test]
fn what_is_not_as_wanted_says_so_in_words() {
    let text = |name: &str| {
        let scene = samples::all().into_iter().find(|(sample, _)| *sample == name).unwrap().1;
        let drawing = arrange(&scene);
        drawing.labels().map(|label| label.text.clone()).collect::<Vec<_>>()
    };
    let count = |texts: &[String], wanted: &str| texts.iter().filter(|text| *text == wanted).count();
    assert_eq!(count(&text("hol02"), "missing"), 0);
    let missing = text("missing");
    // Subnet, security group, host, endpoint, trigger, function, what it writes, and the legend.
    assert_eq!(count(&missing, "missing"), 8, "{missing:?}");
    let drifted = text("drifted");
    assert_eq!(count(&drifted, "≠ drifted"), 4, "{drifted:?}");
    assert!(drifted.iter().any(|text| text == "t3.large instead of t3.micro"), "{drifted:?}");
    let plan = text("plan");
    assert!(count(&plan, "+ add") > 4 && count(&plan, "~ change") == 2 && count(&plan, "− remove") == 2, "{plan:?}");
}

#[test]
fn the_svg_says_what_it_shows_to_whoever_cannot_see_it() {
    let svg = to_svg(&arrange(&samples::hol02()));
    let document = roxmltree::Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!((root.attribute("role"), root.attribute("aria-labelledby")), (Some("img"), Some("lp-title lp-desc")));
    let text_of = |id: &str| {
        let found = document.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
        found.text().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(text_of("lp-title"), "Lab “lab” of ada");
    let description = text_of("lp-desc");
    for part in [
        "In Region us-east-1, account ending in 1234, costing $0.1768 an hour.",
        "VPC lab-vpc, vpc-0a1b2c3d4e5f67890, 10.0.0.0/16.",
        "it lets in TCP 22, 8888 from your laptop",
        "VPN endpoint lab-client-vpn-endpoint, clients 10.83.0.0/16",
        "Trigger: s3:ObjectCreated:*, every key.",
    ] {
        assert!(description.contains(part), "{part:?} is missing from {description}");
    }
}

#[test]
fn the_svg_needs_nothing_from_outside_and_escapes_names() {
    for (name, scene) in samples::all() {
        let svg = to_svg(&arrange(&scene));
        let document = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            assert_ne!(node.tag_name().name(), "script", "{name}");
            for attribute in node.attributes() {
                let outside = attribute.value().contains("://") || attribute.value().contains("url(");
                assert!(!outside, "{name}: {attribute:?}");
            }
        }
        assert!(!svg.contains("@import"), "{name}");
    }
}

#[test]
fn thirty_hosts_with_the_same_rules_have_one_arrow() {
    let texts = |scene: &Scene| arrange(scene).labels().map(|label| label.text.clone()).collect::<Vec<_>>();
    let thirty = texts(&samples::hosts(30));
    assert_eq!(thirty.iter().filter(|text| *text == "TCP 22, 8888").count(), 1);
    assert_eq!(thirty.iter().filter(|text| text.starts_with("lab-student-")).count(), 30);
    assert!(thirty.iter().any(|text| text == "30 security groups with the same rules"), "{thirty:?}");
}

#[test]
fn a_class_of_thirty_labs_is_drawn_within_its_time_and_size() {
    let class: Vec<_> = (0..30).map(|_| samples::hol02()).collect();
    let start = Instant::now();
    let drawing = arrange_all(&class, "All labs");
    let svg = to_svg(&drawing);
    assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    assert_eq!(find_faults(&drawing), Vec::<String>::new());
}

#[test]
fn a_png_is_as_large_as_asked_for_and_never_too_large() {
    let svg = to_svg(&arrange(&samples::hol02()));
    let png = lab_picture::to_png(&svg, 2.0).unwrap().bytes;
    let number = |at: usize| f64::from(u32::from_be_bytes(png[at..at + 4].try_into().unwrap()));
    let drawing = arrange(&samples::hol02());
    assert!((number(16) - drawing.width * 2.0).abs() <= 2.0 && (number(20) - drawing.height * 2.0).abs() <= 2.0);
    let error = lab_picture::to_png(&svg, 100.0).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn a_png_of_a_large_sheet_is_drawn_smaller_and_not_in_a_gigabyte() {
    let sized = |width: f64, height: f64| Drawing { width, height, ..Drawing::default() };
    for (width, height) in [(1500.0, 800.0), (8191.0, 8191.0), (40_000.0, 300.0), (16_000.0, 16_000.0)] {
        let scale = f64::from(choose_scale(&sized(width, height)));
        assert!(scale > 0.0 && scale <= 2.0 && (width * scale).max(height * scale) <= 16_384.0, "{width}: {scale}");
        assert!((width * scale).ceil() * (height * scale).ceil() <= 64e6, "{width} by {height}: {scale}");
    }
    assert!((choose_scale(&sized(1500.0, 800.0)) - 2.0).abs() < 1e-6);
    // Within the longest side, and still too large.
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9000' height='9000'/>";
    assert!(lab_picture::to_png(svg, 1.0).unwrap_err().to_string().contains("too large"));
}

fn sample(name: &str) -> Scene {
    samples::all().into_iter().find(|(sample, _)| *sample == name).unwrap().1
}

fn texts(drawing: &Drawing) -> Vec<&str> {
    drawing.labels().map(|label| label.text.as_str()).collect()
}

/// The classes and corners of the lines of a title.
fn lines_titled<'a>(drawing: &'a Drawing, title: &str) -> Vec<(&'static str, &'a [Point])> {
    let groups = drawing.groups.iter().filter(|group: &&Group| group.title == title);
    let lines = groups.flat_map(|group| &group.shapes).filter_map(|shape| match shape {
        Shape::Line { points, class, .. } if *class != "lp-halo" => Some((*class, points.as_slice())),
        _ => None,
    });
    lines.collect()
}

#[test]
fn every_card_and_frame_says_what_aws_calls_it() {
    let drawing = arrange(&sample("nat"));
    let texts = texts(&drawing);
    for (service, count) in [
        ("EC2 instance", 2),
        ("Amazon S3 bucket", 2),
        ("AWS Lambda function", 1),
        ("Internet gateway", 1),
        ("NAT gateway", 1),
        ("Client VPN endpoint", 1),
        ("VPC", 1),
        ("Public subnet", 1),
        ("Private subnet", 1),
    ] {
        assert_eq!(texts.iter().filter(|text| **text == service).count(), count, "{service}: {texts:?}");
    }
}

#[test]
fn the_way_to_a_bucket_that_is_not_there_is_dashed_from_its_beginning() {
    let classes = |name: &str| {
        let drawing = arrange(&sample(name));
        let inside = lines_titled(&drawing, "may write to the input bucket");
        let outside = lines_titled(&drawing, "hosts may write to the input bucket");
        inside.into_iter().chain(outside).map(|(class, _)| class).collect::<Vec<_>>()
    };
    assert_eq!(classes("hol02"), ["lp-line-data", "lp-line-data"]);
    // The bucket is not there.
    assert_eq!(classes("refused"), ["lp-line-missing", "lp-line-missing"]);
    // The host is not there.
    let mut scene = samples::hol02();
    scene.vpc.as_mut().unwrap().subnets[0].hosts[0].part.presence = Presence::Missing;
    let drawing = arrange(&scene);
    assert_eq!(lines_titled(&drawing, "hosts may write to the input bucket")[0].0, "lp-line-missing");
}

#[test]
fn each_host_that_others_let_in_has_a_line_of_its_own() {
    let drawing = arrange(&samples::steps());
    let texts = texts(&drawing);
    assert_eq!(texts.iter().filter(|text| **text == "8 security groups with the same rules").count(), 1, "{texts:?}");
    let starts: Vec<f64> = ["TCP 5432 from host student-01", "TCP 8443 from host student-04"]
        .iter()
        .map(|title| lines_titled(&drawing, title)[0].1[0].y)
        .collect();
    assert!((starts[0] - starts[1]).abs() > 50.0, "{starts:?}");
}

#[test]
fn what_reaches_farthest_runs_outermost_and_crosses_nothing_between() {
    let mut scene = sample("tiers");
    let from = |role: &str, ports: &str| Inbound {
        from: Source::Host(role.into()),
        ports: ports.into(),
        presence: Presence::There,
    };
    scene.vpc.as_mut().unwrap().subnets[1].hosts[1].inbound.push(from("public", "TCP 22"));
    let drawing = arrange(&scene);
    let titles = ["TCP 8080 from host public", "TCP 5432 from host application", "TCP 22 from host public"];
    let lines: Vec<_> = titles.iter().flat_map(|title| lines_titled(&drawing, title)).collect();
    assert_eq!(lines.len(), 3);
    let shapes = lines.iter().map(|(class, points)| Shape::Line { points: points.to_vec(), arrow: true, class });
    let group = Group { title: String::new(), shapes: shapes.collect() };
    assert_eq!(count_crossings(&Drawing { groups: vec![group], ..Drawing::default() }), 0);
    assert_eq!(find_faults(&drawing), Vec::<String>::new());
}

#[test]
fn a_detached_gateway_leads_nowhere_and_lets_nobody_in() {
    let mut scene = samples::hol02();
    let gateway = scene.vpc.as_mut().unwrap().gateway.as_mut().unwrap();
    gateway.state = Some(("detached".into(), lab_picture::Health::Off));
    let drawing = arrange(&scene);
    assert!(lines_titled(&drawing, "the internet gateway leads to the internet").is_empty());
    assert!(drawing.groups.iter().all(|group| !group.title.starts_with("TCP 22, 8888 from your laptop")));
    assert!(texts(&drawing).join(" ").contains("TCP 22, 8888 from your laptop"), "told in words");
}

#[test]
fn a_nat_gateway_stands_in_line_and_has_its_way_to_the_internet_gateway() {
    let drawing = arrange(&sample("nat"));
    let out = lines_titled(&drawing, "the NAT gateway reaches the internet through the internet gateway");
    assert_eq!(out.len(), 1);
    let left = |service: &str| drawing.labels().find(|label| label.text == service).unwrap().rect.x;
    assert!((left("NAT gateway") - left("EC2 instance")).abs() < 0.5);
    assert!((out[0].1[0].x - left("NAT gateway")).abs() < 60.0, "from the card's left edge");
}

#[test]
fn a_list_of_labs_is_as_wide_as_one_and_their_descriptions_are_whole() {
    let class: Vec<_> = (0..4).map(|_| samples::hol02()).collect();
    let (list, sheet) = (arrange_list(&class, "All labs"), arrange_all(&class, "All labs"));
    assert!((list.width - arrange(&class[0]).width).abs() < 1.0 && sheet.width > list.width * 1.9);
    assert_eq!(list.description.matches("it lets in TCP 22, 8888 from your laptop").count(), 4);
    assert_eq!(find_faults(&list), Vec::<String>::new());
}

#[test]
fn a_subnet_says_its_own_way_and_no_empty_block() {
    let mut scene = samples::hol02();
    let vpc = scene.vpc.as_mut().unwrap();
    vpc.cidr = String::new();
    vpc.subnets[0].route = lab_picture::Route::None;
    vpc.subnets[1].route = lab_picture::Route::Other("eni-1".into());
    let drawing = arrange(&scene);
    let texts = texts(&drawing);
    assert!(texts.contains(&"no way to the internet") && texts.contains(&"0.0.0.0/0 to eni-1"), "{texts:?}");
    assert!(texts.contains(&"vpc-0a1b2c3d4e5f67890") && !texts.contains(&"Public subnet"), "{texts:?}");
    assert!(drawing.description.contains("VPC lab-vpc, vpc-0a1b2c3d4e5f67890. "), "{}", drawing.description);
}

#[test]
fn a_rule_without_an_arrow_says_that_it_is_missing() {
    let mut scene = samples::hol02();
    let subnet = &mut scene.vpc.as_mut().unwrap().subnets[0];
    subnet.route = lab_picture::Route::None;
    subnet.hosts[0].inbound[0].presence = Presence::Missing;
    let drawing = arrange(&scene);
    let said = texts(&drawing).join(" ");
    assert!(said.contains("TCP 22, 8888 from your laptop") && said.contains("(missing)"), "{said}");
    assert_eq!(find_faults(&drawing), Vec::<String>::new());
}

#[test]
fn a_plan_tells_what_the_lab_costs_now_and_after() {
    let drawing = arrange(&sample("refused"));
    let texts = texts(&drawing);
    assert!(texts.iter().any(|text| text.ends_with("$0.1768 an hour now, $0.2000 an hour after up")), "{texts:?}");
    assert!(texts.contains(&"up stops here"));
    assert!(drawing.description.contains("costing $0.1768 an hour now, $0.2000 an hour after up."));
}

prop_compose! {
    fn name()(text in prop_oneof!["[a-z-]{1,60}", "\\PC{0,120}", "[一-龥]{1,40}", "[א-ת ]{1,40}"]) -> String { text }
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Anywhere),
        Just(Source::Laptop("203.0.113.5/32".into())),
        Just(Source::Network("198.51.100.0/24".into())),
        Just(Source::Inside("10.9.0.0/16".into())),
        Just(Source::Vpn),
        Just(Source::Host("student-01".into())),
        Just(Source::Host("private".into())),
    ]
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        4 => Just(Presence::There),
        1 => Just(Presence::Missing),
        1 => Just(Presence::Drifted),
        1 => Just(Presence::Unexpected),
        1 => Just(Presence::Remove),
        1 => Just(Presence::Unknown),
    ]
}

prop_compose! {
    fn inbound()(from in source(), ports in "TCP [0-9]{2,5}(, [0-9]{4}){0,12}", presence in presence()) -> Inbound {
        Inbound { from, ports, presence }
    }
}

prop_compose! {
    fn host()(
        name in name(),
        presence in presence(),
        inbound in proptest::collection::vec(inbound(), 0..5),
        writes in any::<bool>(),
        why in proptest::option::of(name()),
    ) -> Host {
        let part = Part { why, ..Part::new(name.as_str()).presence(presence).costs(0.0104) };
        Host { part, role: name.clone(), group: Part::new(name), inbound, writes, writing: presence }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_lab_breaks_the_layout(
        count in 0_usize..12,
        public in proptest::collection::vec(host(), 0..5),
        private in proptest::collection::vec(host(), 0..5),
        subnet in name(),
        with_vpn in any::<bool>(),
        window in any::<bool>(),
    ) {
        let mut scene = samples::hosts(count);
        if let Some(vpc) = &mut scene.vpc {
            vpc.subnets[0].hosts.extend(public);
            vpc.subnets[1].hosts.extend(private);
            vpc.subnets[1].part.name = subnet;
            if !with_vpn {
                vpc.vpn = None;
            }
            if window {
                vpc.subnets[0].nat = Some(Part::new("lab-nat-gateway").costs(0.045));
                vpc.subnets[1].route = lab_picture::Route::Nat;
            }
        }
        let drawing = arrange(&scene);
        let faults = find_faults(&drawing);
        prop_assert!(faults.is_empty(), "{faults:#?}");
        prop_assert!(roxmltree::Document::parse(&to_svg(&drawing)).is_ok());
    }
}
