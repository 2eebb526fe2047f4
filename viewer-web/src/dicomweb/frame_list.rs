//! The list of frame numbers in a path: `4`, `1,3,5`. Frames count from 1.

use crate::problem::Problem;

/// Most frames of one request.
const FRAMES_MAX: usize = 4096;

/// Reads a frame list. Numbers beyond the image are found later, when the image is known.
pub(crate) fn parse(text: &str) -> Result<Vec<u64>, Problem> {
    let wrong = || {
        Problem::bad_request(
            "帧号应为从 1 开始的整数，多个用逗号分隔。",
            "Frame numbers should be whole numbers from 1, separated by commas.",
        )
    };
    let mut frames = Vec::new();
    for part in text.split(',') {
        if frames.len() >= FRAMES_MAX {
            return Err(Problem::bad_request(
                "一次请求的帧过多。",
                "Too many frames in one request.",
            ));
        }
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        frames.push(part.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(wrong)?);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_frames() {
        let check =
            |text: &str, expect: Option<&[u64]>| assert_eq!(parse(text).ok().as_deref(), expect, "{text}");
        check("1", Some(&[1]));
        check("1,3,5", Some(&[1, 3, 5]));
        check("4294967297", Some(&[4_294_967_297]));
        for bad in [
            "0",
            "x",
            "-1",
            "",
            "1,",
            "1,,2",
            "+1",
            "99999999999999999999999",
            "1 ",
        ] {
            check(bad, None);
        }
        check(&vec!["1"; FRAMES_MAX + 1].join(","), None);
    }
}
