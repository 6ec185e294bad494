//! The forms that an archive may have: plain tar, or tar in gzip (RFC 1952) or Zstandard (RFC 8878).
//!
//! Used by `archive` and `extract`, which know nothing of compression otherwise.

use std::io::{self, BufRead, BufWriter, Read, Write};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ValueEnum;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::error::{Error, Result};

/// How a gzip member begins.
const MAGIC: [u8; 2] = [0x1F, 0x8B];
/// What is written at once where nothing is compressed.
const BUFFER: usize = 256 << 10;

/// A form of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
pub(super) enum Format {
    #[value(name = "tar")]
    #[serde(rename = "tar")]
    Plain,
    #[value(name = "tar.gz")]
    #[serde(rename = "tar.gz")]
    Gzip,
    #[value(name = "tar.zst")]
    #[serde(rename = "tar.zst")]
    Zstd,
}

impl Format {
    /// The form that goes with the end of the name.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.as_bytes().to_ascii_lowercase();
        let ends = |ends: &[&[u8]]| ends.iter().any(|end| name.len() > end.len() && name.ends_with(end));
        if ends(&[b".tar"]) {
            Some(Self::Plain)
        } else if ends(&[b".tar.gz", b".tgz"]) {
            Some(Self::Gzip)
        } else if ends(&[b".tar.zst", b".tzst"]) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// The form that was asked for, or else that of the name. `argument` is the parameter with the name.
    pub(super) fn choose(given: Option<Self>, path: &Path, argument: &str) -> Result<Self> {
        given.or_else(|| Self::of_name(path)).ok_or_else(|| Error::Invalid {
            argument: Some(argument.to_owned()),
            message: format!("'{}' does not say which form of archive it is", path.display()),
            remediation: "Use a name that ends in .tar, .tar.gz, .tgz, .tar.zst or .tzst, or give --format".to_owned(),
        })
    }

    /// The levels that it has. None: it does not compress.
    pub(super) fn levels(self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some(0..=9),
            Self::Zstd => Some(1..=22),
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "tar",
            Self::Gzip => "tar.gz",
            Self::Zstd => "tar.zst",
        }
    }
}

/// Compresses what is written to it.
pub(super) enum Encoder<W: Write> {
    Plain(BufWriter<W>),
    Gzip(GzEncoder<W>),
    Zstd(ZstdEncoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(format: Format, level: Option<u32>, to: W) -> io::Result<Self> {
        Ok(match format {
            Format::Plain => Self::Plain(BufWriter::with_capacity(BUFFER, to)),
            Format::Gzip => Self::Gzip(GzEncoder::new(to, level.map_or_else(Compression::default, Compression::new))),
            Format::Zstd => {
                let level = level.map_or(zstd::DEFAULT_COMPRESSION_LEVEL, u32::cast_signed);
                let mut encoder = ZstdEncoder::new(to, level)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Writes what is still held back.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut writer) => writer.flush(),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
            Self::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// What a compressed file holds.
pub(super) fn decoder<'a>(format: Format, from: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Plain => Box::new(from),
        Format::Gzip => Box::new(Members { current: Some(GzDecoder::new(from)) }),
        Format::Zstd => Box::new(ZstdDecoder::with_buffer(from)?),
    })
}

/// Gzip members, one after another. What stands behind a complete one and is none is passed over, as gzip(1) does: tapes
/// and old tools fill up with zeros.
struct Members<R> {
    /// None after the last.
    current: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(current) = &mut self.current {
            let count = current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let next = current.get_mut().fill_buf()?;
            let is_member = next.first() == Some(&MAGIC[0]) && next.get(1).is_none_or(|byte| *byte == MAGIC[1]);
            let ended = self.current.take();
            self.current = ended.filter(|_| is_member).map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

/// True for what an archive says that was compressed with a larger window than the decoder takes: see `zstd --long`.
pub(super) fn needs_larger_window(error: &io::Error) -> bool {
    error.to_string().contains("requires too much memory")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::path::Path;

    use super::{Encoder, Format, decoder};

    #[test]
    fn the_name_says_the_form() {
        for (name, format) in [
            ("a.tar", Some(Format::Plain)),
            ("a.b.tar.gz", Some(Format::Gzip)),
            ("dir/A.TGZ", Some(Format::Gzip)),
            ("a.tar.zst", Some(Format::Zstd)),
            ("a.tzst", Some(Format::Zstd)),
            ("a.zip", None),
            ("tar", None),
            (".tar", None),
        ] {
            assert_eq!(Format::of_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn what_is_compressed_is_found_again_and_a_half_of_it_is_not() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for format in [Format::Plain, Format::Gzip, Format::Zstd] {
            let mut packed = Vec::new();
            let mut encoder = Encoder::new(format, None, &mut packed).unwrap();
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap();
            let mut found = Vec::new();
            decoder(format, packed.as_slice()).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == content, "{format:?}");
            let half = decoder(format, &packed[..packed.len() / 2]).unwrap().read_to_end(&mut Vec::new());
            assert_eq!(half.is_ok(), format == Format::Plain, "{format:?}");
        }
    }
}
