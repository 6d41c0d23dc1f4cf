//! The one place that writes to the terminal while lines are redrawn.
//!
//! The cursor is never hidden and always stands below what is drawn, so that nothing has to be put back, whatever ends the
//! program: a second Ctrl-C, a panic or SIGKILL leave the last state behind, and the shell's prompt below it.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::board::{Board, Row};
use super::paint::{paint_live, paint_row, usable};
use crate::State;
use crate::look::Look;
use crate::text::width;

/// How often what is redrawn moves.
const FRAME: Duration = Duration::from_millis(120);
/// How often it is looked whether a long wait is to be told where nothing is redrawn.
const LOOK: Duration = Duration::from_secs(1);
/// Where nothing is redrawn a step that goes on is told after this long, and then whenever it has become this much longer
/// again or, at the latest, a minute older.
const SPEAK_UP: Duration = Duration::from_secs(20);
/// What a terminal without a size is taken for.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// What is on the screen.
#[derive(Debug)]
struct Screen {
    look: Option<Look>,
    board: Board,
    /// When the board's first row came.
    start: Option<Instant>,
    /// Columns of each line that is drawn now.
    drawn: Vec<usize>,
    frame: String,
    ticks: bool,
    next_key: u64,
}

static SCREEN: Mutex<Screen> = Mutex::new(Screen {
    look: None,
    board: Board { rows: Vec::new(), is_plan: false },
    start: None,
    drawn: Vec::new(),
    frame: String::new(),
    ticks: false,
    next_key: 0,
});

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to stderr, above what is being redrawn. Where nobody reads it any more, the work that it speaks of goes
/// on all the same.
pub(crate) fn print_line(line: &str) {
    screen().print(line);
}

/// Does `write` while nothing is drawn.
pub(crate) fn pause<T>(write: impl FnOnce() -> T) -> T {
    let mut screen = screen();
    let erase = screen.erase();
    put(&erase);
    let answer = write();
    screen.draw();
    answer
}

/// Adds the rows of a plan; answers with the key of the first, the others count on. What is there already stays.
pub(crate) fn open_plan(look: Look, rows: impl IntoIterator<Item = Row>) -> u64 {
    let mut screen = screen();
    screen.board.is_plan = true;
    let first = screen.next_key;
    let offset = screen.board.rows.len();
    for mut row in rows {
        row.needs.iter_mut().for_each(|need| *need += offset);
        row.key += first;
        screen.next_key = screen.next_key.max(row.key + 1);
        screen.board.rows.push(row);
    }
    screen.open(look);
    first
}

/// Adds a row that runs from now on; answers with its key.
pub(crate) fn add(look: Look, mut row: Row) -> u64 {
    let mut screen = screen();
    row.key = screen.next_key;
    screen.next_key += 1;
    let key = row.key;
    screen.open(look);
    row.begin(screen.now());
    screen.board.rows.push(row);
    screen.draw();
    key
}

/// Changes a row that is there.
pub(crate) fn change(key: u64, change: impl FnOnce(&mut Row, Duration)) {
    let mut screen = screen();
    let now = screen.now();
    if let Some(row) = screen.board.rows.iter_mut().find(|row| row.key == key) {
        change(row, now);
        screen.draw();
    }
}

/// Tells, where nothing is redrawn, that a row has begun which usually takes long.
pub(crate) fn tell_begun(key: u64) {
    let mut screen = screen();
    let Some((look, row)) = screen.find(key).filter(|(look, _)| !look.live) else { return };
    if let Some(usual) = row.usual.filter(|usual| usual.longest() >= SPEAK_UP) {
        let line = format!("  begins  {}, usually {}", row.full_title(), usual.show(dash(look)));
        screen.print(&line);
    }
}

/// Ends a row. A plan's stays in sight with the others; any other is printed and goes.
pub(crate) fn end(key: u64, state: State, more: &str) {
    let mut screen = screen();
    let now = screen.now();
    let Some(row) = screen.board.rows.iter_mut().find(|row| row.key == key) else { return };
    more.clone_into(&mut row.more);
    row.end(now, state);
    let row = row.clone();
    let Some(look) = screen.look else { return };
    if !look.live {
        screen.print(&tell_end(&row, now));
    }
    if !screen.board.is_plan {
        if look.live {
            let columns = look.columns().map_or(usize::MAX, usable);
            screen.print_above(&paint_row(&row, look, columns, now), key);
        }
        screen.remove(key);
    }
    screen.draw();
}

/// Takes a row away without a word.
pub(crate) fn clear(key: u64) {
    let mut screen = screen();
    screen.remove(key);
    screen.draw();
}

/// Ends a plan: what is drawn is drawn a last time, whole, and stays.
pub(crate) fn close_plan(change: impl Fn(&mut Row)) {
    let mut screen = screen();
    screen.board.rows.iter_mut().for_each(change);
    let now = screen.now();
    let mut text = screen.erase();
    if let Some(look) = screen.look.filter(|look| look.live) {
        let columns = look.columns().map_or(USUAL_SIZE.0, usable);
        for row in &screen.board.rows {
            text += &paint_row(row, look, columns, now);
            text.push('\n');
        }
    }
    put(&text);
    screen.close();
}

/// `  done    create vpc lab-vpc  vpc-1  0.4 s`
fn tell_end(row: &Row, now: Duration) -> String {
    let (word, id) = match row.state {
        State::Failed if row.more.is_empty() => ("failed", String::new()),
        State::Failed => (row.more.as_str(), String::new()),
        _ if row.more.is_empty() => ("done", String::new()),
        _ => ("done", format!("  {}", row.more)),
    };
    let why = if row.detail.is_empty() { String::new() } else { format!(" ({})", row.detail) };
    format!("  {word:7} {}{why}{id}  {:.1} s", row.full_title(), row.took(now).as_secs_f64())
}

fn dash(look: Look) -> &'static str {
    if look.plain || !look.unicode { " to " } else { "–" }
}

fn put(text: &str) {
    if text.is_empty() {
        return;
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Screen {
    fn open(&mut self, look: Look) {
        self.look = Some(look);
        self.start.get_or_insert_with(Instant::now);
        if !self.ticks {
            self.ticks = std::thread::Builder::new().name("progress".into()).spawn(move || tick(look)).is_ok();
        }
        self.draw();
    }

    fn close(&mut self) {
        self.board = Board::default();
        self.start = None;
    }

    fn now(&self) -> Duration {
        self.start.map(|start| start.elapsed()).unwrap_or_default()
    }

    fn find(&self, key: u64) -> Option<(Look, Row)> {
        Some((self.look?, self.board.rows.iter().find(|row| row.key == key)?.clone()))
    }

    /// Rows of a plan stay: others speak of them by their place.
    fn remove(&mut self, key: u64) {
        if self.board.is_plan {
            if let Some(row) = self.board.rows.iter_mut().find(|row| row.key == key) {
                row.state = State::Blocked;
            }
            return;
        }
        self.board.rows.retain(|row| row.key != key);
        if self.board.rows.is_empty() {
            let erase = self.erase();
            put(&erase);
            self.close();
        }
    }

    fn print(&mut self, line: &str) {
        // In one piece: what a key echoes in between would stay in sight.
        let text = format!("{}{line}\n{}", self.erase(), self.paint());
        put(&text);
    }

    /// Prints the line of a row that is still on the board, in place of it.
    fn print_above(&mut self, line: &str, key: u64) {
        self.board.rows.retain(|row| row.key != key);
        self.print(line);
    }

    /// What takes away all that is drawn, the cursor at its top.
    fn erase(&mut self) -> String {
        let up = self.move_up();
        self.drawn.clear();
        self.frame.clear();
        if up.is_empty() { up } else { up + "\x1b[J" }
    }

    /// What brings the cursor to the top of what is drawn. A terminal that has become narrower has wrapped it since.
    fn move_up(&self) -> String {
        let columns = self.look.and_then(Look::size).unwrap_or(USUAL_SIZE).0;
        let rows = count_rows(&self.drawn, columns);
        if rows == 0 { String::new() } else { format!("\r\x1b[{rows}A") }
    }

    fn draw(&mut self) {
        let text = self.paint();
        put(&text);
    }

    /// What brings the screen up to date; nothing where it is.
    fn paint(&mut self) -> String {
        let Some(look) = self.look.filter(|look| look.live && !self.board.rows.is_empty()) else {
            return String::new();
        };
        let size = look.size().unwrap_or(USUAL_SIZE);
        let lines = paint_live(&self.board, look, size, self.now());
        let frame: String = lines.iter().flat_map(|line| [line.as_str(), "\x1b[K\n"]).collect();
        let is_wrapped = self.drawn.iter().any(|columns| *columns > size.0);
        if frame == self.frame && !is_wrapped {
            return String::new();
        }
        let text = format!("{}\r{frame}\x1b[J", self.move_up());
        self.drawn = lines.iter().map(|line| width(&strip(line))).collect();
        self.frame = frame;
        text
    }

    /// Tells what has been going on for long.
    fn speak_up(&mut self, look: Look) {
        let now = self.now();
        let mut lines = Vec::new();
        for row in self.board.rows.iter_mut().filter(|row| row.state == State::Running) {
            let since = now.saturating_sub(row.told);
            let patience = row.told.saturating_sub(row.began).clamp(SPEAK_UP, Duration::from_mins(1));
            if since >= patience {
                row.told = now;
                lines.push(tell_wait(row, now, dash(look)));
            }
        }
        for line in lines {
            self.print(&line);
        }
    }
}

/// `  waits   create …: associating, 130 s of usually 5 to 10 min`
fn tell_wait(row: &Row, now: Duration, dash: &str) -> String {
    let what = if row.more.is_empty() { String::new() } else { format!(": {}", row.more) };
    let usual = row.usual.map(|usual| format!(" of usually {}", usual.show(dash))).unwrap_or_default();
    format!("  waits   {}{what}, {} s{usual}", row.full_title(), row.took(now).as_secs())
}

/// Rows that lines of these widths take on a terminal of so many columns.
fn count_rows(widths: &[usize], columns: usize) -> usize {
    widths.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum()
}

/// A line without its colours.
fn strip(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\x1b') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    text + rest
}

fn tick(look: Look) {
    loop {
        std::thread::sleep(if look.live { FRAME } else { LOOK });
        let mut screen = screen();
        if screen.board.rows.is_empty() {
            screen.ticks = false;
            return;
        }
        if look.live {
            screen.draw();
        } else {
            screen.speak_up(look);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_narrower_terminal_has_wrapped_are_counted() {
        assert_eq!(count_rows(&[79, 0, 40], 80), 3);
        assert_eq!(count_rows(&[79, 0, 40], 40), 4);
        assert_eq!(count_rows(&[], 40), 0);
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(strip("\x1b[36m✓\x1b[0m vpc"), "✓ vpc");
    }

    #[test]
    fn a_wait_says_what_for_and_how_long_it_usually_is() {
        let mut row = Row::new(0, None, "check".into(), String::new());
        row.more = "lab-public-ec2 is pending".into();
        row.begin(Duration::from_secs(5));
        let told = tell_wait(&row, Duration::from_secs(30), " to ");
        assert_eq!(told, "  waits   check: lab-public-ec2 is pending, 25 s");
        row.usual = Some(crate::Usual::minutes(2, 4, ""));
        let told = tell_wait(&row, Duration::from_secs(135), " to ");
        assert_eq!(told, "  waits   check: lab-public-ec2 is pending, 130 s of usually 2 to 4 min");
    }
}
