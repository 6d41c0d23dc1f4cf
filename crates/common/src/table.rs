//! Typed access to a TOML table: every value keeps its place, and keys that nobody asked for are rejected.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::file::{LabFile, Span};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// One table of the file. Dropping it does nothing; [`Table::reject_unknown`] ends the reading.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) file: &'a LabFile<'a>,
    /// Its dotted path, empty for the file's root.
    path: String,
    pub(crate) span: Span,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(file: &'a LabFile<'a>, path: String, span: Span, entries: &'a DeTable<'a>) -> Self {
        Self { file, path, span, entries, asked: RefCell::default() }
    }

    /// `hosts.public.size` for `size`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The table's own path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where `key` stands; the table's own place when it is absent.
    pub(crate) fn span_of(&self, key: &str) -> Span {
        self.entries.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Whether the file has `key`. It is not asked for by this.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some()
    }

    pub(crate) fn string(&self, key: &str) -> Option<At<String>> {
        let value = self.find(key)?;
        self.take_string(key, value)
    }

    /// A string that must be there.
    pub(crate) fn required_string(&self, key: &str, example: &str) -> Option<At<String>> {
        self.required(key, example)?;
        self.string(key)
    }

    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.find(key)?;
        self.expect(key, value, value.get_ref().as_bool(), "true or false")
    }

    /// A whole number within `bounds`.
    pub(crate) fn integer(&self, key: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<At<i64>> {
        let value = self.find(key)?;
        self.take_integer(key, value, &bounds)
    }

    /// A list of whole numbers, each within `bounds`.
    pub(crate) fn integers(&self, key: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<Vec<At<i64>>> {
        let value = self.find(key)?;
        let items = self.expect(key, value, value.get_ref().as_array(), "a list of whole numbers")?;
        Some(items.iter().filter_map(|item| self.take_integer(key, item, &bounds)).collect())
    }

    /// A number that is not negative.
    pub(crate) fn dollars(&self, key: &str) -> Option<f64> {
        self.number(key, |usd| usd >= 0.0, "an amount of dollars, 0 or more")
    }

    pub(crate) fn hours(&self, key: &str) -> Option<f64> {
        self.number(key, |hours| hours > 0.0, "a number of hours, more than 0")
    }

    /// A number with or without a fraction, as far as `is_legal` takes it.
    fn number(&self, key: &str, is_legal: fn(f64) -> bool, wanted: &str) -> Option<f64> {
        let value = self.find(key)?;
        let parse = |value: &DeValue<'_>| match value {
            DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
            DeValue::Integer(digits) => digits.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let number = self.expect(key, value, parse(value.get_ref()), wanted)?;
        if number.is_finite() && is_legal(number) {
            return Some(number);
        }
        let what = format!("{} = {number} is out of bounds", self.path_of(key));
        self.file.reject(&value.span(), what, format!("write {wanted}"));
        None
    }

    pub(crate) fn strings(&self, key: &str) -> Option<Vec<At<String>>> {
        let value = self.find(key)?;
        let items = self.expect(key, value, value.get_ref().as_array(), "a list of strings")?;
        Some(items.iter().filter_map(|item| self.take_string(key, item)).collect())
    }

    /// A string, or a list of strings.
    pub(crate) fn string_or_strings(&self, key: &str) -> Option<Vec<At<String>>> {
        if self.find(key)?.get_ref().is_str() {
            return self.string(key).map(|one| vec![one]);
        }
        self.strings(key)
    }

    pub(crate) fn table(&self, key: &str) -> Option<Self> {
        let value = self.find(key)?;
        let entries = self.expect(key, value, value.get_ref().as_table(), "a table")?;
        Some(Self::new(self.file, self.path_of(key), value.span(), entries))
    }

    /// The tables of a list of tables.
    pub(crate) fn tables(&self, key: &str) -> Option<Vec<Self>> {
        let value = self.find(key)?;
        let items = self.expect(key, value, value.get_ref().as_array(), "a list of tables")?;
        let tables = items.iter().filter_map(|item| {
            let entries = self.expect(key, item, item.get_ref().as_table(), "a list of tables")?;
            Some(Self::new(self.file, self.path_of(key), item.span(), entries))
        });
        Some(tables.collect())
    }

    /// All entries, in the file's order, which must be tables themselves. Their keys are the user's own.
    pub(crate) fn named_tables(&self) -> Vec<(At<String>, Self)> {
        let mut tables: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(key, _)| {
                let name = At { value: key.get_ref().to_string(), span: key.span() };
                Some((name, self.table(key.get_ref())?))
            })
            .collect();
        tables.sort_by_key(|(name, _)| name.span.start);
        tables
    }

    /// Rejects `key` as missing unless it is there.
    pub(crate) fn required(&self, key: &str, example: &str) -> Option<()> {
        if self.find(key).is_some() {
            return Some(());
        }
        self.reject_missing(key, &format!("add `{key} = {example}`"));
        None
    }

    /// Rejects `key` as missing, whatever is there.
    pub(crate) fn reject_missing(&self, key: &str, fix: &str) {
        self.file.reject(&self.span, format!("{} is missing", self.path_of(key)), fix);
    }

    /// Rejects every key that was not asked for, with the nearest known one.
    pub(crate) fn reject_unknown(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            if asked.iter().any(|known| known == key.get_ref()) {
                continue;
            }
            let place = if self.path.is_empty() { "at the top".to_owned() } else { format!("in [{}]", self.path) };
            self.file.reject(
                &key.span(),
                format!("unknown key `{}` {place}", key.get_ref()),
                describe_nearest(key.get_ref(), asked.iter().map(String::as_str)),
            );
        }
    }

    fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.asked.borrow().iter().any(|known| known == key) {
            self.asked.borrow_mut().push(key.to_owned());
        }
        self.entries.get(key)
    }

    fn take_integer(
        &self,
        key: &str,
        value: &Spanned<DeValue<'a>>,
        bounds: &std::ops::RangeInclusive<i64>,
    ) -> Option<At<i64>> {
        let parse = |value: &DeValue<'_>| {
            let digits = value.as_integer()?;
            i64::from_str_radix(digits.as_str(), digits.radix()).ok()
        };
        let number = self.expect(key, value, parse(value.get_ref()), "a whole number")?;
        if !bounds.contains(&number) {
            let (low, high) = (bounds.start(), bounds.end());
            self.file.reject(
                &value.span(),
                format!("{} = {number} is out of bounds", self.path_of(key)),
                format!("write a number from {low} to {high}"),
            );
            return None;
        }
        Some(At { value: number, span: value.span() })
    }

    fn take_string(&self, key: &str, value: &Spanned<DeValue<'a>>) -> Option<At<String>> {
        let text = self.expect(key, value, value.get_ref().as_str().map(str::to_owned), "a string in quotes")?;
        Some(At { value: text, span: value.span() })
    }

    fn expect<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, found: Option<T>, wanted: &str) -> Option<T> {
        if found.is_none() {
            let kind = value.get_ref().type_str();
            self.file.reject(
                &value.span(),
                format!("{} is of type {kind}", self.path_of(key)),
                format!("write {wanted}"),
            );
        }
        found
    }
}

/// `did you mean X?`, or the whole list where nothing is near.
pub(crate) fn describe_nearest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate)).min();
    match near {
        Some((distance, candidate)) if distance <= 1 + word.len() / 3 => format!("did you mean `{candidate}`?"),
        Some(_) => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
        None => "remove it".to_owned(),
    }
}
