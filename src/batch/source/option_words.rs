//! Reads the options of a command line as a table of its program says: where operands begin, and where code stands.
//!
//! Called by the check of items in code. It reads words alone; which program they belong to, and what follows from what
//! is found, is the caller's.

use std::ops::Range;

use crate::batch::source::programs::{CodeOptions, OptionOrder, Options};
use crate::batch::source::shell_scanner::Word;

/// How many words are options and their values.
pub(super) fn options(words: &[Word], options: Options) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let text = &word.text[..];
        if !matches!(text, [b'-', _, ..]) {
            break;
        }
        at += 1;
        if text == b"--" {
            break;
        }
        at += usize::from(options.take_next(text));
    }
    at.min(words.len())
}

/// The word at this place, if there is one.
pub(super) fn operand(words: &[Word], at: usize) -> Range<usize> {
    at.min(words.len())..words.len().min(at + 1)
}

/// Where the values of the options with code are: the word, and the byte of it.
pub(super) fn values_of(words: &[Word], code: &CodeOptions) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let text = &word.text[..];
        at += 1;
        if !matches!(text, [b'-', _, ..]) {
            if code.order != OptionOrder::Anywhere {
                break;
            }
            continue;
        }
        // An option behind it takes the place of a value that may be left out, as in `node -p -e CODE`.
        let is_option = words.get(at).is_some_and(|next| matches!(&next.text[..], [b'-', _, ..]));
        let next = usize::from(!is_option);
        if let Some(name) = text.strip_prefix(b"--") {
            if name.is_empty() && code.order != OptionOrder::Anywhere {
                break;
            }
            let end = name.iter().position(|byte| *byte == b'=');
            let is_code = |long: &str| {
                let written = &name[..end.unwrap_or(name.len())];
                !written.is_empty() && long.as_bytes().starts_with(written)
            };
            if !code.longs.split(' ').any(is_code) {
                at += usize::from(code.others.take_next(text));
            } else if let Some(end) = end {
                found.push((at - 1, end + 3));
            } else {
                found.push((at, 0));
                at += next;
            }
            continue;
        }
        for (place, letter) in text.iter().enumerate().skip(1) {
            let is_last = place + 1 == text.len();
            // The p of `node -pe` has no code of its own.
            if code.letters.as_bytes().contains(letter) && (is_last || *letter != b'p') {
                found.push(if is_last { (at, 0) } else { (at - 1, place + 1) });
                at += if is_last { next } else { 0 };
                break;
            }
            if *letter == b'm' && code.letters == "c" && code.order == OptionOrder::First {
                // `python -m MODULE`: what follows is the module's.
                return found;
            }
            if code.others.letters.as_bytes().contains(letter) == code.others.have_values {
                at += usize::from(is_last);
                break;
            }
        }
    }
    found
}

/// The words that `env -S` makes of a text, without its quotes.
pub(super) fn split_words(text: &[u8]) -> Vec<Word> {
    let (mut words, mut word, mut quote) = (Vec::new(), None, None);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            byte if quote == Some(byte) => quote = None,
            b'\'' | b'"' if quote.is_none() => {
                word.get_or_insert_with(Vec::new);
                quote = Some(byte);
            }
            byte if byte.is_ascii_whitespace() && quote.is_none() => words.extend(word.take()),
            b'\\' => match bytes.next() {
                Some(b'_') if quote.is_none() => words.extend(word.take()),
                next => word.get_or_insert_with(Vec::new).extend(next),
            },
            byte => word.get_or_insert_with(Vec::new).push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(|text| Word { text, ..Word::default() }).collect()
}
