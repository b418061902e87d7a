//! The reasons for which an order of staff is not carried out.

use crate::app::App;
use crate::media::MediaRefusal;
use crate::store::StoreError;
use loaxa_heart::decide::delivery::DocumentName;
use loaxa_heart::domain::ids::{BoxId, CommandId, GroupId};
use loaxa_heart::domain::playback::CommandRefusal;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Wall;
use loaxa_heart::wire::messages::MESSAGE_BYTES_MAX;

/// A reason for which an order is not carried out, for the person who gave it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("name at least one group to speak to")]
    NoGroup,
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    #[error("give audio or a text")]
    NothingToSay,
    #[error("repeat must be 1 or more")]
    Repeat,
    #[error("volume_percent must be 0 to 100")]
    Volume,
    #[error("the time {0} is past")]
    Past(Wall),
    #[error("it would expire before its time {0}")]
    ExpiresBefore(Wall),
    #[error("it may live at most 30 days")]
    TooLong,
    #[error("there is no announcement {0}")]
    NoSuchAnnouncement(CommandId),
    #[error("the text could not be spoken: {0}")]
    NotSpoken(Fault),
    #[error(transparent)]
    Media(#[from] MediaRefusal),
    #[error("the keys on this server may not do this: {0}")]
    Authority(CommandRefusal),
    #[error("the announcement {id} may not be ended by those who sign this: {reason}")]
    MayNotEnd { id: CommandId, reason: CommandRefusal },
    #[error("it is larger than the {} kB that a box reads", MESSAGE_BYTES_MAX >> 10)]
    TooLarge,
    #[error("the programme is not right:\n{0}")]
    BadProgramme(String),
    #[error("the audio {0:?} was not uploaded")]
    NoSuchMedia(String),
    #[error("{name} was sent in version {sent} already: {offered} is not newer")]
    NotNewer { name: DocumentName, sent: u32, offered: u32 },
    #[error("there is no box {0}")]
    NoSuchBox(BoxId),
    #[error("no box would take it: {0}")]
    Senseless(CommandRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refused {
    /// Says the same in Vietnamese.
    pub fn in_vietnamese(&self) -> String {
        match self {
            Refused::NoGroup => "hãy chọn ít nhất một nhóm nhận".to_owned(),
            Refused::NoSuchGroup(group) => format!("không có nhóm {group}"),
            Refused::NothingToSay => "hãy gửi tệp âm thanh hoặc nội dung chữ".to_owned(),
            Refused::Repeat => "số lần phát phải từ 1 trở lên".to_owned(),
            Refused::Volume => "âm lượng phải từ 0 đến 100".to_owned(),
            Refused::Past(at) => format!("thời điểm {} đã qua", at.local().format("%H:%M %d/%m/%Y")),
            Refused::ExpiresBefore(at) => {
                format!("thông báo sẽ hết hạn trước giờ phát {}", at.local().format("%H:%M %d/%m/%Y"))
            }
            Refused::TooLong => "thông báo chỉ được giữ nhiều nhất 30 ngày".to_owned(),
            Refused::NoSuchAnnouncement(id) => format!("không có thông báo {id}"),
            Refused::NotSpoken(fault) => format!("không đọc được nội dung chữ thành tiếng: {fault}"),
            Refused::Media(MediaRefusal::TooLarge) => "tệp âm thanh quá lớn".to_owned(),
            Refused::Media(MediaRefusal::Unplayable(fault)) => {
                format!("các cụm loa không phát được tệp này: {fault}")
            }
            Refused::Media(MediaRefusal::NoLength) => {
                "tệp âm thanh không rõ độ dài, hoặc dài quá một ngày".to_owned()
            }
            Refused::Media(MediaRefusal::Disk(error)) => format!("không lưu được tệp âm thanh: {error}"),
            Refused::TooLarge => format!("lớn hơn {} kB mà cụm loa đọc được", MESSAGE_BYTES_MAX >> 10),
            Refused::BadProgramme(problems) => format!("chương trình chưa đúng:\n{problems}"),
            Refused::NoSuchMedia(name) => format!("chưa gửi tệp âm thanh {name:?} lên"),
            Refused::NotNewer { name, sent, offered } => {
                format!("{name} đã gửi bản {sent}: bản {offered} không mới hơn")
            }
            Refused::NoSuchBox(id) => format!("không có cụm loa {id}"),
            Refused::Senseless(refusal) => format!("không cụm loa nào nhận lệnh này: {refusal}"),
            Refused::MayNotEnd { id, reason } => {
                format!("những người ký lệnh này không có quyền kết thúc thông báo {id}: {reason}")
            }
            Refused::Authority(refusal) => format!("các khóa trên máy chủ này không có quyền: {refusal}"),
            Refused::Store(error) => format!("cơ sở dữ liệu không trả lời: {error}"),
        }
    }
}

/// Checks that there is at least one group, and that the configuration names all of them.
///
/// # Errors
/// Names the first group that is unknown.
pub fn known_groups(app: &App, groups: &[GroupId]) -> Result<(), Refused> {
    if groups.is_empty() {
        return Err(Refused::NoGroup);
    }
    match app.settings.unknown_group(groups) {
        Some(group) => Err(Refused::NoSuchGroup(group.clone())),
        None => Ok(()),
    }
}
