//! Ethernet frames on a byte stream, as QEMU's `-netdev stream` sends them: u32 big-endian length, then the frame.

use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One Ethernet frame without its checksum. Shared: a flooded frame is not copied per port.
pub type Frame = Arc<[u8]>;

/// The largest frame that is taken: 64 KiB of payload, the header and a VLAN tag.
pub const MAX_FRAME: usize = 65_550;

/// How much is read from a stream at once.
const CHUNK: usize = 64 << 10;

/// Where a port's frames come from.
pub trait FrameSource: Send {
    /// The next frame; None when the other side ended cleanly. An error ends the port.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Frame>>> + Send;
}

/// Where a port's frames go.
pub trait FrameSink: Send {
    /// Sends frames in order. May wait as long as the other side does not read; an error ends the port.
    fn send(&mut self, frames: &[Frame]) -> impl Future<Output = io::Result<()>> + Send;
}

/// A length that no frame has: the stream is out of step or hostile and cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes was announced; {MAX_FRAME} is the most")]
pub struct Oversize(pub u32);

/// Cuts a byte stream into frames. Holds at most one unfinished frame beside what was pushed last.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the first byte that was not handed out is.
    start: usize,
}

impl Decoder {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; None when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Oversize> {
        let rest = &self.buffer[self.start..];
        let Some((head, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*head);
        let length = usize::try_from(announced).ok().filter(|n| *n <= MAX_FRAME).ok_or(Oversize(announced))?;
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let frame = Frame::from(frame);
        self.start += head.len() + length;
        Ok(Some(frame))
    }

    /// Whether the stream may not end here: a frame has begun.
    pub fn inside_frame(&self) -> bool {
        self.start < self.buffer.len()
    }
}

/// Appends a frame as it goes over a stream.
pub fn encode(frame: &[u8], into: &mut Vec<u8>) {
    // Frames come from a decoder, which bounds them far below 4 GiB.
    into.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(frame);
}

/// Frames read from a byte stream.
pub struct StreamSource<R> {
    stream: R,
    decoder: Decoder,
    chunk: Box<[u8]>,
}

impl<R> StreamSource<R> {
    /// Frames of this stream, which stands at a frame's begin.
    pub fn new(stream: R) -> Self {
        Self { stream, decoder: Decoder::default(), chunk: vec![0; CHUNK].into_boxed_slice() }
    }
}

impl<R: AsyncRead + Unpin + Send> FrameSource for StreamSource<R> {
    async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let frame = self.decoder.next_frame().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            if frame.is_some() {
                return Ok(frame);
            }
            let n = self.stream.read(&mut self.chunk).await?;
            if n == 0 && self.decoder.inside_frame() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended inside a frame"));
            }
            if n == 0 {
                return Ok(None);
            }
            self.decoder.push(&self.chunk[..n]);
        }
    }
}

/// Frames written to a byte stream.
pub struct StreamSink<W> {
    stream: W,
    buffer: Vec<u8>,
}

impl<W> StreamSink<W> {
    /// Sends frames into this stream.
    pub fn new(stream: W) -> Self {
        Self { stream, buffer: Vec::new() }
    }
}

impl<W: AsyncWrite + Unpin + Send> FrameSink for StreamSink<W> {
    async fn send(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.buffer.clear();
        for frame in frames {
            encode(frame, &mut self.buffer);
        }
        let written = self.stream.write_all(&self.buffer).await;
        // A burst of the largest frames must not be held for ever.
        self.buffer.shrink_to(4 * CHUNK);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(decoder: &mut Decoder) -> Result<Vec<Vec<u8>>, Oversize> {
        let mut all = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            all.push(frame.to_vec());
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            cuts in prop::collection::vec(1usize..97, 1..8),
        ) {
            let mut wire = Vec::new();
            frames.iter().for_each(|f| encode(f, &mut wire));
            let (mut decoder, mut seen, mut rest) = (Decoder::default(), Vec::new(), &wire[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                decoder.push(now);
                seen.extend(drain(&mut decoder).unwrap());
                rest = later;
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(!decoder.inside_frame());
        }

        #[test]
        fn noise_never_panics_and_memory_stays_bounded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..40)) {
            let mut decoder = Decoder::default();
            for chunk in chunks {
                decoder.push(&chunk);
                if drain(&mut decoder).is_err() { break }
                prop_assert!(decoder.buffer.len() <= 4 + MAX_FRAME + 5000);
            }
        }
    }

    #[test]
    fn the_largest_frame_passes_and_one_byte_more_does_not() {
        let mut wire = Vec::new();
        encode(&vec![7; MAX_FRAME], &mut wire);
        let mut decoder = Decoder::default();
        decoder.push(&wire);
        assert_eq!(drain(&mut decoder).unwrap().len(), 1);
        let announced = u32::try_from(MAX_FRAME + 1).unwrap();
        decoder.push(&announced.to_be_bytes());
        assert_eq!(decoder.next_frame(), Err(Oversize(announced)));
    }

    #[tokio::test]
    async fn half_a_frame_at_the_end_is_an_error() {
        let mut source = StreamSource::new(&[0u8, 0, 0, 60, 1, 2][..]);
        assert_eq!(source.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut source = StreamSource::new(&[][..]);
        assert!(source.next().await.unwrap().is_none());
    }
}
