//! What a reader of a picture would notice: texts over each other, texts cut off, lines through texts, parts not shown.

mod samples;

use std::time::Instant;

use lab_picture::{
    Drawing, Host, Inbound, Label, Part, Point, Presence, Rect, Scene, Source, arrange, arrange_all, to_svg,
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
        if !["zones", "tiers"].contains(&name) {
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
    let png = lab_picture::to_png(&svg, 2.0).unwrap();
    let number = |at: usize| f64::from(u32::from_be_bytes(png[at..at + 4].try_into().unwrap()));
    let drawing = arrange(&samples::hol02());
    assert!((number(16) - drawing.width * 2.0).abs() <= 2.0 && (number(20) - drawing.height * 2.0).abs() <= 2.0);
    let error = lab_picture::to_png(&svg, 100.0).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

prop_compose! {
    fn name()(text in prop_oneof!["[a-z-]{1,60}", "\\PC{0,120}", "[一-龥]{1,40}", "[א-ת ]{1,40}"]) -> String { text }
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Anywhere),
        Just(Source::Laptop("203.0.113.5/32".into())),
        Just(Source::Network("198.51.100.0/24".into())),
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
        Host { part, role: name.clone(), group: Part::new(name), inbound, writes }
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
