//! Tables for people: columns as wide as they need, numbers to the right, no lines.

use super::terminal::{Paint, Tone};

/// A table that is printed whole.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    side: Side,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Left,
    Right,
}

/// A cell, in a tone of its own if it has one.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Column {
    /// A column of texts.
    pub const fn text(title: &'static str) -> Self {
        Self { title, side: Side::Left }
    }

    /// A column of numbers.
    pub const fn number(title: &'static str) -> Self {
        Self { title, side: Side::Right }
    }
}

impl Cell {
    /// A cell in a tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: one_line(&text.into()), tone: Some(tone) }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: one_line(&text.to_string()), tone: None }
    }
}

/// What a terminal would act on is shown instead; a payload must not be able to move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The text, one line a row, titles first.
    pub fn render(&self, paint: Paint) -> String {
        let titles = self.columns.iter().map(|column| Cell::toned(Tone::Faint, column.title)).collect::<Vec<_>>();
        let lines = || std::iter::once(&titles).chain(&self.rows);
        let width = |index: usize| {
            lines().filter_map(|row| row.get(index)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        lines().map(|row| self.line(row, &widths, paint)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
            let pad = " ".repeat(width.saturating_sub(cell.text.chars().count()));
            let text = cell.tone.map_or_else(|| cell.text.clone(), |tone| paint.text(tone, &cell.text));
            let gap = if line.is_empty() { "" } else { "  " };
            line += &match column.side {
                Side::Left => format!("{gap}{text}{pad}"),
                Side::Right => format!("{gap}{pad}{text}"),
            };
        }
        format!("{}\n", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_controls_are_disarmed() {
        let mut table = Table::new([Column::text("NAME"), Column::number("MESSAGES"), Column::text("WHY")]);
        table.row(["ä".into(), 5.into(), "".into()]);
        table.row(["orders".into(), 12345.into(), "a\x1b[2Jb\nc".into()]);
        let text = table.render(Paint::stdout());
        assert_eq!(text, "NAME    MESSAGES  WHY\nä              5\norders     12345  a [2Jb c\n");
    }
}
