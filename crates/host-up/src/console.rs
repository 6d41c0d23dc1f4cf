//! The markers that a host's user-data writes to its console.

/// The newest marker on a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Nothing has been said yet.
    None,
    /// The host says that it is ready.
    Ready,
    /// The host says that its setup failed; the console's last lines.
    Failed(String),
}

const READY: &str = "hybrid-lab: ready";
const FAILED: &str = "hybrid-lab: failed";
/// Enough to see what went wrong, short enough for a terminal.
const TAIL_LINES: usize = 20;

/// Reads the newest marker. A marker is a line of its own, for cloud-init echoes user-data's commands too.
pub(crate) fn read_marker(console: &str) -> Marker {
    let newest = console.lines().map(str::trim).rfind(|line| line.starts_with(READY) || line.starts_with(FAILED));
    match newest {
        None => Marker::None,
        Some(line) if line.starts_with(READY) => Marker::Ready,
        Some(_) => Marker::Failed(show_tail(console)),
    }
}

/// The last lines, without what a console sends to move cursors and change colours.
fn show_tail(console: &str) -> String {
    let plain = |line: &str| {
        let visible: String = line.chars().filter(|c| !c.is_control()).collect();
        visible.trim_end().to_owned()
    };
    let lines: Vec<_> = console.lines().map(plain).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Whether an instance type is built on Nitro, where `Latest=true` shows the console as it is now. All families since
/// 2018 are; these are the older ones (EC2 user guide, "Xen-based instances").
pub(crate) fn is_nitro(size: &str) -> bool {
    const XEN: [&str; 27] = [
        "c1", "c3", "c4", "cc2", "cg1", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hs1", "i2", "i3", "m1", "m2",
        "m3", "m4", "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e",
    ];
    !size.split('.').next().is_some_and(|family| XEN.contains(&family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_marker_counts() {
        assert_eq!(read_marker(""), Marker::None);
        assert_eq!(read_marker("[ 1.2] booting\r\nhybrid-lab: ready\r\nlogin:"), Marker::Ready);
        assert_eq!(read_marker("hybrid-lab: failed (x)\nhybrid-lab: ready\n"), Marker::Ready);
        let failed = read_marker("hybrid-lab: ready\nE: no \u{1b}[31mmirror\n\nhybrid-lab: failed (setup)\n");
        assert_eq!(failed, Marker::Failed("hybrid-lab: ready\nE: no [31mmirror\nhybrid-lab: failed (setup)".into()));
    }

    #[test]
    fn a_marker_within_a_line_is_an_echo() {
        assert_eq!(read_marker("+ printf hybrid-lab: ready"), Marker::None);
    }

    #[test]
    fn t2_is_not_nitro() {
        assert!(is_nitro("t3.micro") && is_nitro("t4g.nano") && is_nitro("c5.large"));
        assert!(!is_nitro("t2.micro") && !is_nitro("m4.large"));
    }
}
