//! Deflate (RFC 1951) for filtered pixels: codes that fit each block, runs of zeros, and no other repetitions.

/// Symbols of literals and lengths.
const SYMBOLS: usize = 286;
/// The longest code. Four of them and a byte that is not full yet fit into 64 bits.
const MAX_CODE: u8 = 12;
const END: usize = 256;
/// The longest repetition.
const MAX_RUN: usize = 258;
/// The order in which a block's header names the lengths of the codes of its codes' lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// A deflate stream, block by block.
#[derive(Debug, Default)]
pub(crate) struct Deflater {
    bits: u64,
    count: u32,
}

/// A symbol's bits, lowest first, and how many they are.
#[derive(Debug, Clone, Copy, Default)]
struct Code {
    bits: u16,
    length: u8,
}

impl Deflater {
    /// Appends a block with `data` to `out`; the last one ends the stream at a byte.
    pub(crate) fn write_block(&mut self, data: &[u8], last: bool, out: &mut Vec<u8>) {
        let frequencies = count(data);
        let lengths = limit_lengths(&frequencies);
        let header = Header::new(&lengths);
        let coded = header.size() + size(&frequencies, &lengths);
        let stored = (data.len() + data.len().div_ceil(65_535) * 5) * 8;
        if coded >= stored {
            self.write_stored(data, last, out);
        } else {
            out.reserve(coded / 8 + 16);
            self.write(u64::from(last) | 2 << 1, 3, out);
            header.write(self, out);
            self.write_data(data, &assign_codes(&lengths), out);
        }
        if last {
            self.align(out);
        }
    }

    /// Appends up to 56 bits.
    fn write(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.bits |= bits << self.count;
        self.count += count;
        let whole = self.count / 8;
        out.extend_from_slice(&self.bits.to_le_bytes()[..whole as usize]);
        self.bits = if whole == 8 { 0 } else { self.bits >> (whole * 8) };
        self.count %= 8;
    }

    fn align(&mut self, out: &mut Vec<u8>) {
        self.write(0, (8 - self.count) % 8, out);
    }

    fn write_stored(&mut self, data: &[u8], last: bool, out: &mut Vec<u8>) {
        let mut blocks = data.chunks(65_535).peekable();
        while let Some(block) = blocks.next() {
            self.write(u64::from(last && blocks.peek().is_none()), 3, out);
            self.align(out);
            let length = u16::try_from(block.len()).expect("a chunk's length");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(block);
        }
    }

    fn write_data(&mut self, data: &[u8], codes: &[Code; SYMBOLS], out: &mut Vec<u8>) {
        // The bytes go into room that is there already: asking for room at every eight bytes would take longer.
        let mut room = std::mem::take(out);
        let mut at = room.len();
        room.resize(at + data.len() * usize::from(MAX_CODE) / 8 + 64, 0);
        let (mut bits, mut count) = (self.bits, self.count);
        let mut flush = |bits: &mut u64, count: &mut u32| {
            room[at..at + 8].copy_from_slice(&bits.to_le_bytes());
            let whole = *count / 8;
            at += whole as usize;
            *bits = bits.checked_shr(whole * 8).unwrap_or(0);
            *count %= 8;
        };
        let put = |bits: &mut u64, count: &mut u32, code: Code| {
            *bits |= u64::from(code.bits) << *count;
            *count += u32::from(code.length);
        };
        walk(data, |piece| match piece {
            Piece::Eight(bytes) => {
                for half in bytes.as_chunks::<4>().0 {
                    for &byte in half {
                        put(&mut bits, &mut count, codes[usize::from(byte)]);
                    }
                    flush(&mut bits, &mut count);
                }
            }
            Piece::Byte(byte) => {
                put(&mut bits, &mut count, codes[usize::from(byte)]);
                flush(&mut bits, &mut count);
            }
            Piece::Run(length) => {
                let (symbol, extra, extra_bits) = name_length(length);
                put(&mut bits, &mut count, codes[symbol]);
                put(&mut bits, &mut count, Code { bits: extra, length: extra_bits });
                // The only distance there is, the byte before, has a code of one bit: 0.
                put(&mut bits, &mut count, Code { bits: 0, length: 1 });
                flush(&mut bits, &mut count);
            }
        });
        put(&mut bits, &mut count, codes[END]);
        flush(&mut bits, &mut count);
        (self.bits, self.count) = (bits, count);
        room.truncate(at);
        *out = room;
    }
}

/// What a block is made of.
enum Piece<'a> {
    Eight(&'a [u8; 8]),
    Byte(u8),
    /// The byte before, so many times more.
    Run(usize),
}

/// Cuts data into its pieces, the same ones each time. Runs of zeros are looked for eight bytes at a time.
#[inline(always)]
#[expect(clippy::inline_always, reason = "twice as fast")]
fn walk(data: &[u8], mut see: impl FnMut(Piece)) {
    let (eights, rest) = data.as_chunks::<8>();
    let mut index = 0;
    while let Some(eight) = eights.get(index) {
        if u64::from_le_bytes(*eight) != 0 {
            see(Piece::Eight(eight));
            index += 1;
            continue;
        }
        let zeros = eights[index..].iter().take_while(|eight| u64::from_le_bytes(**eight) == 0).count();
        index += zeros;
        see(Piece::Byte(0));
        let mut left = zeros * 8 - 1;
        while left > 0 {
            // At least three bytes make a run, so no one or two may be left.
            let run = if left > MAX_RUN && left < MAX_RUN + 3 { MAX_RUN - 3 } else { left.min(MAX_RUN) };
            see(Piece::Run(run));
            left -= run;
        }
    }
    for &byte in rest {
        see(Piece::Byte(byte));
    }
}

fn count(data: &[u8]) -> [u32; SYMBOLS] {
    // Several tables, or equal bytes in a row would wait for each other.
    let mut tables = [[0_u32; 256]; 4];
    let mut frequencies = [0; SYMBOLS];
    walk(data, |piece| match piece {
        Piece::Eight(bytes) => {
            for four in bytes.as_chunks::<4>().0 {
                for (table, &byte) in tables.iter_mut().zip(four) {
                    table[usize::from(byte)] += 1;
                }
            }
        }
        Piece::Byte(byte) => tables[0][usize::from(byte)] += 1,
        Piece::Run(length) => frequencies[name_length(length).0] += 1,
    });
    for table in tables {
        for (sum, part) in frequencies.iter_mut().zip(table) {
            *sum += part;
        }
    }
    frequencies[END] += 1;
    frequencies
}

/// A length's symbol, its extra bits and how many they are.
#[expect(clippy::cast_possible_truncation, reason = "lengths end at 258")]
fn name_length(length: usize) -> (usize, u16, u8) {
    match length {
        MAX_RUN => (285, 0, 0),
        3..=10 => (254 + length, 0, 0),
        _ => {
            let from = length - 3;
            let extra = from.ilog2() - 2;
            let symbol = 257 + 4 * (extra as usize + 1) + ((from >> extra) & 3);
            (symbol, (from & ((1 << extra) - 1)) as u16, extra as u8)
        }
    }
}

/// The data's size in bits with codes of these lengths.
fn size(frequencies: &[u32; SYMBOLS], lengths: &[u8; SYMBOLS]) -> usize {
    let symbols = frequencies.iter().zip(lengths).enumerate();
    symbols
        .map(|(symbol, (&frequency, &length))| {
            let extra = match symbol {
                0..=264 | 285 => 0,
                _ => (symbol - 261) / 4,
            };
            let distance = usize::from(symbol > END);
            frequency as usize * (usize::from(length) + extra + distance)
        })
        .sum()
}

/// Lengths of a complete prefix code, none longer than [`MAX_CODE`], as short as Huffman's or nearly.
fn limit_lengths<const N: usize>(frequencies: &[u32; N]) -> [u8; N] {
    limited(frequencies, MAX_CODE)
}

fn limited<const N: usize>(frequencies: &[u32; N], most: u8) -> [u8; N] {
    let mut used: Vec<(u32, usize)> = frequencies
        .iter()
        .enumerate()
        .filter(|(_, frequency)| **frequency > 0)
        .map(|(at, frequency)| (*frequency, at))
        .collect();
    let mut lengths = [0; N];
    if used.len() < 3 {
        for (_, at) in used {
            lengths[at] = 1;
        }
        return lengths;
    }
    used.sort_unstable();
    let mut counts = count_lengths(&used);
    fit(&mut counts, most);
    let mut rarest_first = used.iter();
    for (length, &count) in counts.iter().enumerate().rev() {
        for (_, at) in rarest_first.by_ref().take(count as usize) {
            lengths[*at] = u8::try_from(length).unwrap_or(most);
        }
    }
    lengths
}

/// How many codes of each length Huffman's tree has. The symbols come sorted, so the nodes that are made of two are made
/// in their order, and two queues do.
fn count_lengths(sorted: &[(u32, usize)]) -> [u32; 64] {
    let leaves = sorted.len();
    let mut weights: Vec<u64> = sorted.iter().map(|(frequency, _)| u64::from(*frequency)).collect();
    let mut parents = vec![0; leaves * 2 - 1];
    let (mut leaf, mut node) = (0, leaves);
    for made in leaves..leaves * 2 - 1 {
        let mut take = || {
            let from =
                if leaf < leaves && (node >= made || weights[leaf] <= weights[node]) { &mut leaf } else { &mut node };
            *from += 1;
            *from - 1
        };
        let (one, other) = (take(), take());
        parents[one] = made;
        parents[other] = made;
        weights.push(weights[one] + weights[other]);
    }
    let mut depths = vec![0_usize; leaves * 2 - 1];
    let mut counts = [0; 64];
    for at in (0..leaves * 2 - 2).rev() {
        depths[at] = depths[parents[at]] + 1;
        if at < leaves {
            counts[depths[at].min(63)] += 1;
        }
    }
    counts
}

/// Shortens codes that are too long, and lengthens others until all fit again.
fn fit(counts: &mut [u32; 64], most: u8) {
    let most = usize::from(most);
    let too_long: u32 = counts[most + 1..].iter().sum();
    counts[most + 1..].fill(0);
    counts[most] += too_long;
    let mut taken: u64 =
        counts[1..=most].iter().zip(1..).map(|(&count, length)| u64::from(count) << (most - length)).sum();
    while taken > 1 << most {
        // One of the longest moves beside a shorter one, which becomes longer by one.
        counts[most] -= 1;
        if let Some(length) = (1..most).rev().find(|&length| counts[length] > 0) {
            counts[length] -= 1;
            counts[length + 1] += 2;
        }
        taken -= 1;
    }
}

/// The canonical codes, their bits reversed as deflate wants them.
fn assign_codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut next = [0_u16; 16];
    for length in 1..16 {
        let shorter = lengths.iter().filter(|&&other| usize::from(other) == length - 1 && other > 0).count();
        next[length] = (next[length - 1] + u16::try_from(shorter).unwrap_or(u16::MAX)) << 1;
    }
    let mut codes = [Code::default(); N];
    for (code, &length) in codes.iter_mut().zip(lengths).filter(|(_, length)| **length > 0) {
        let bits = &mut next[usize::from(length)];
        *code = Code { bits: bits.reverse_bits() >> (16 - length), length };
        *bits += 1;
    }
    codes
}

/// The header of a block with codes of its own.
struct Header {
    /// The lengths of the codes, and of one distance, with repetitions: symbol, extra bits, their number.
    tokens: Vec<(u8, u8, u8)>,
    lengths: [u8; 19],
    literals: usize,
    named: usize,
}

impl Header {
    fn new(lengths: &[u8; SYMBOLS]) -> Self {
        let literals = lengths.iter().rposition(|&length| length > 0).map_or(257, |last| last + 1).max(257);
        let mut all = lengths[..literals].to_vec();
        all.push(1);
        let tokens = repeat_lengths(&all);
        let mut frequencies = [0; 19];
        for &(symbol, ..) in &tokens {
            frequencies[usize::from(symbol)] += 1;
        }
        let lengths = limited(&frequencies, 7);
        let named = ORDER.iter().rposition(|&symbol| lengths[symbol] > 0).map_or(4, |last| last + 1).max(4);
        Self { tokens, lengths, literals, named }
    }

    fn size(&self) -> usize {
        let tokens =
            self.tokens.iter().map(|&(symbol, _, extra)| usize::from(self.lengths[usize::from(symbol)] + extra));
        3 + 14 + self.named * 3 + tokens.sum::<usize>()
    }

    fn write(&self, to: &mut Deflater, out: &mut Vec<u8>) {
        to.write((self.literals - 257) as u64, 5, out);
        to.write(0, 5, out);
        to.write((self.named - 4) as u64, 4, out);
        for &symbol in &ORDER[..self.named] {
            to.write(u64::from(self.lengths[symbol]), 3, out);
        }
        let codes = assign_codes(&self.lengths);
        for &(symbol, extra, extra_bits) in &self.tokens {
            let code = codes[usize::from(symbol)];
            to.write(u64::from(code.bits), u32::from(code.length), out);
            to.write(u64::from(extra), u32::from(extra_bits), out);
        }
    }
}

/// Names repeated lengths by their number: 16 is the last one 3 to 6 times, 17 and 18 are 3 to 10 and 11 to 138 zeros.
#[expect(clippy::cast_possible_truncation, reason = "runs are cut to what a byte holds")]
fn repeat_lengths(lengths: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut tokens = Vec::new();
    for run in lengths.chunk_by(|a, b| a == b) {
        let (value, mut left) = (run[0], run.len());
        if value > 0 {
            tokens.push((value, 0, 0));
            left -= 1;
        }
        while left > 0 {
            let (symbol, first, most, bits) = match (value, left) {
                (0, 11..) => (18, 11, 138, 7),
                (0, 3..) => (17, 3, 10, 3),
                (_, 3..) => (16, 3, 6, 2),
                _ => (value, 1, 1, 0),
            };
            let taken = left.min(most);
            tokens.push((symbol, (taken - first) as u8, bits));
            left -= taken;
        }
    }
    tokens
}
