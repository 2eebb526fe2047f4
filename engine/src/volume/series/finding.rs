//! What a reader should know about a series before trusting a reformat, in plain words.

use super::slice::Mark;

/// One remark about a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Slices are missing between two that are there.
    Gap {
        /// The slice before the gap, counted from 1.
        after: usize,
        /// How many are missing, as far as the spacing tells.
        missing: usize,
        /// Distance over the gap.
        distance_mm: f64,
    },
    /// Neighbouring slices are not evenly spaced.
    Uneven {
        /// Least distance.
        least_mm: f64,
        /// Greatest distance.
        most_mm: f64,
    },
    /// The gantry was tilted: slices are shifted against each other evenly.
    Tilt {
        /// Angle between the slices' normal and the table's way.
        degrees: f64,
    },
    /// Slices are shifted against each other irregularly.
    Shifted {
        /// Greatest shift from the straight line.
        most_mm: f64,
    },
    /// Slices that repeat a place; the first of each is used.
    Duplicates {
        /// How many are left out.
        count: usize,
    },
    /// Several volumes in one series; one is used.
    Volumes {
        /// How many.
        count: usize,
        /// What tells them apart.
        by: Mark,
        /// The one used, counted from 1.
        chosen: usize,
    },
    /// Images of another direction, left out.
    OtherDirection {
        /// How many.
        count: usize,
    },
    /// Images of another size, spacing or frame of reference, left out.
    OtherShape {
        /// How many.
        count: usize,
    },
    /// Overview images, left out.
    Localizers {
        /// How many.
        count: usize,
    },
    /// One slice only.
    Single,
    /// Values are held with 16 bits, which is coarser than they were.
    Coarser {
        /// Step between neighbouring values.
        step: f64,
    },
    /// Objects that cannot be read as part of the series.
    Unreadable {
        /// How many.
        count: usize,
        /// Why the first cannot.
        first: String,
    },
}

impl Finding {
    /// In English.
    #[must_use]
    pub fn en(&self) -> String {
        match self {
            Self::Gap {
                after,
                missing,
                distance_mm,
            } => format!(
                "gap: about {missing} {} missing between slice {after} and slice {} ({distance_mm:.2} mm apart); what is shown there is interpolated",
                plural(*missing, "slice"),
                after + 1
            ),
            Self::Uneven { least_mm, most_mm } => format!(
                "uneven slice spacing, {least_mm:.2} to {most_mm:.2} mm; reformats use the true positions"
            ),
            Self::Tilt { degrees } => {
                format!("gantry tilt of {degrees:.1} degrees; reformats are corrected for it")
            }
            Self::Shifted { most_mm } => format!(
                "slices are shifted sideways against each other by up to {most_mm:.2} mm; reformats may show steps"
            ),
            Self::Duplicates { count } => format!(
                "{count} {} at the place of another; the first of each place is used",
                plural(*count, "slice")
            ),
            Self::Volumes { count, by, chosen } => format!(
                "the series holds {count} volumes, told apart by {}; number {chosen} is used",
                by.en()
            ),
            Self::OtherDirection { count } => format!(
                "{count} {} of another direction left out",
                plural(*count, "image")
            ),
            Self::OtherShape { count } => format!(
                "{count} {} of another size, pixel spacing or frame of reference left out",
                plural(*count, "image")
            ),
            Self::Localizers { count } => {
                format!("{count} {} left out", plural(*count, "localizer image"))
            }
            Self::Single => "one slice only: there is nothing to reformat".into(),
            Self::Coarser { step } => {
                format!("values are held with 16 bits, in steps of {step:.4}")
            }
            Self::Unreadable { count, first } => {
                format!("{count} {} could not be used: {first}", plural(*count, "object"))
            }
        }
    }

    /// In Chinese, as a reader of a county hospital would say it.
    #[must_use]
    pub fn zh(&self) -> String {
        match self {
            Self::Gap {
                after,
                missing,
                distance_mm,
            } => format!(
                "第 {after} 层与第 {} 层之间约缺 {missing} 层（相距 {distance_mm:.2} mm），该处图像为插值，不能作为诊断依据",
                after + 1
            ),
            Self::Uneven { least_mm, most_mm } => {
                format!("层间距不均匀（{least_mm:.2}–{most_mm:.2} mm），重建已按各层实际位置计算")
            }
            Self::Tilt { degrees } => format!("扫描机架倾斜 {degrees:.1}°，重建图像已校正"),
            Self::Shifted { most_mm } => {
                format!("各层之间有不规则错位（最大 {most_mm:.2} mm），重建图像可能出现台阶")
            }
            Self::Duplicates { count } => format!("有 {count} 幅图像与其他图像位置重复，同一位置只用第一幅"),
            Self::Volumes { count, by, chosen } => {
                format!(
                    "该序列含 {count} 组容积数据（按{}区分），当前使用第 {chosen} 组",
                    by.zh()
                )
            }
            Self::OtherDirection { count } => format!("有 {count} 幅图像方向不同，未纳入重建"),
            Self::OtherShape { count } => {
                format!("有 {count} 幅图像的矩阵、像素间距或坐标系不同，未纳入重建")
            }
            Self::Localizers { count } => format!("有 {count} 幅定位像，未纳入重建"),
            Self::Single => "只有一层图像，无法重建".into(),
            Self::Coarser { step } => format!("数值以 16 位保存，最小间隔 {step:.4}"),
            Self::Unreadable { count, first } => format!("有 {count} 个对象无法使用：{first}"),
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_name_the_figures() {
        let gap = Finding::Gap {
            after: 12,
            missing: 1,
            distance_mm: 4.8,
        };
        for (text, figures) in [
            (gap.en(), vec!["gap", "12", "13", "4.80", "1 slice "]),
            (gap.zh(), vec!["第 12 层", "第 13 层", "缺 1 层", "4.80"]),
            (Finding::Tilt { degrees: -12.34 }.en(), vec!["tilt", "-12.3"]),
            (
                Finding::Uneven {
                    least_mm: 1.0,
                    most_mm: 2.5,
                }
                .zh(),
                vec!["层间距不均匀", "1.00–2.50"],
            ),
        ] {
            for figure in figures {
                assert!(text.contains(figure), "{text}: {figure}");
            }
        }
    }
}
