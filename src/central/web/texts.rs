//! The words on the pages and in the answers of the API.

use loaxa_heart::texts::Tables;

/// The words of central in both languages: what all share, and what belongs to one subject.
pub static TEXTS: Tables = Tables::new(
    concat!(
        include_str!("texts/vi.toml"),
        "\n",
        include_str!("texts/emergency.vi.toml"),
        "\n",
        include_str!("texts/boxes.vi.toml"),
        "\n",
        include_str!("texts/live.vi.toml"),
        "\n",
        include_str!("texts/notices.vi.toml"),
        "\n",
        include_str!("texts/people.vi.toml"),
        "\n",
        include_str!("texts/public.vi.toml"),
        "\n",
        include_str!("texts/week.vi.toml"),
        "\n",
        include_str!("texts/reports.vi.toml"),
        "\n",
        include_str!("texts/software.vi.toml"),
    ),
    concat!(
        include_str!("texts/en.toml"),
        "\n",
        include_str!("texts/emergency.en.toml"),
        "\n",
        include_str!("texts/boxes.en.toml"),
        "\n",
        include_str!("texts/live.en.toml"),
        "\n",
        include_str!("texts/notices.en.toml"),
        "\n",
        include_str!("texts/people.en.toml"),
        "\n",
        include_str!("texts/public.en.toml"),
        "\n",
        include_str!("texts/week.en.toml"),
        "\n",
        include_str!("texts/reports.en.toml"),
        "\n",
        include_str!("texts/software.en.toml"),
    ),
);
