//! Moving lines as rows of their own.
//!
//! indicatif fills each line up to the width and lets it run over into the next row. A window that becomes wider joins
//! such rows, and the next draw goes up too far: over lines that were to stay. Here each row ends by a line end and is no
//! longer than its text, so that a window that becomes narrower has little to wrap, too.

use indicatif::TermLike;
use std::io::{Result, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// In a line's template: what stands before this is padded to the width and need not be.
pub const CUT: char = '\u{1f}';

/// Rows on a terminal.
#[derive(Debug)]
pub struct Rows<T> {
    on: T,
    /// The cursor is at the end of a row that is whole.
    full: AtomicBool,
}

impl<T> Rows<T> {
    pub fn new(on: T) -> Self {
        Self { on, full: AtomicBool::new(false) }
    }

    fn begun_anew(&self) {
        self.full.store(false, Ordering::Relaxed);
    }
}

impl<T: TermLike> TermLike for Rows<T> {
    fn width(&self) -> u16 {
        self.on.width()
    }

    fn height(&self) -> u16 {
        self.on.height()
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.on.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.on.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.on.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.on.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.begun_anew();
        self.on.write_line(text)
    }

    fn write_str(&self, text: &str) -> Result<()> {
        if text == "\r" {
            self.begun_anew();
            return self.on.write_str(text);
        }
        if text.trim_end_matches(' ').is_empty() {
            // What would fill the row; it was cleared before.
            return Ok(());
        }
        if self.full.swap(true, Ordering::Relaxed) {
            self.on.write_line("")?;
        }
        match text.split_once(CUT) {
            Some((left, right)) => self.on.write_str(&format!("{}{}", left.trim_end(), right.trim_end())),
            None => self.on.write_str(text.trim_end()),
        }
    }

    fn clear_line(&self) -> Result<()> {
        self.begun_anew();
        self.on.clear_line()
    }

    fn flush(&self) -> Result<()> {
        self.on.flush()
    }
}

/// The terminal behind stderr. What is drawn goes out at once, so that nobody sees half of it.
#[derive(Debug, Default)]
pub struct Stderr {
    drawn: Mutex<String>,
}

impl Stderr {
    fn put(&self, text: &str) -> Result<()> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn move_cursor(&self, n: usize, way: char) -> Result<()> {
        if n > 0 { self.put(&format!("\x1b[{n}{way}")) } else { Ok(()) }
    }

    /// Columns and rows.
    fn size() -> (u16, u16) {
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok().filter(|s| s.ws_col > 0 && s.ws_row > 0);
        size.map_or((80, 24), |s| (s.ws_col, s.ws_row))
    }
}

impl TermLike for Stderr {
    fn width(&self) -> u16 {
        Self::size().0
    }

    fn height(&self) -> u16 {
        Self::size().1
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.put(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.put(text)
    }

    fn clear_line(&self) -> Result<()> {
        self.put("\r\x1b[2K")
    }

    fn flush(&self) -> Result<()> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        let mut out = std::io::stderr().lock();
        out.write_all(drawn.as_bytes())?;
        out.flush()
    }
}
