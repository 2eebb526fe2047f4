//! Columns of each level, under names that do not meet in a join.

macro_rules! patient_columns {
    () => {
        "p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id"
    };
}
/// The patient of the study `st`, under the name that the study's objects say.
macro_rules! patient_of_study_columns {
    () => {
        "p.id, p.institution_id, p.issuer, p.identifier, p.person_id, COALESCE(st.said_name, p.name) AS name, COALESCE(st.said_alphabetic, p.name_alphabetic) AS name_alphabetic, COALESCE(st.said_ideographic, p.name_ideographic) AS name_ideographic, COALESCE(st.said_phonetic, p.name_phonetic) AS name_phonetic, COALESCE(st.said_pinyin, p.pinyin) AS pinyin, p.sex, p.birth_date, p.national_id"
    };
}
macro_rules! study_columns {
    () => {
        "st.id AS st_id, st.study_uid, st.patient_id AS st_patient, st.institution_id AS st_institution, st.order_id, st.device_id AS st_device, st.accession_number, st.study_id_text, st.study_date, st.study_time, st.description AS st_description, st.referring_physician, st.modalities, st.body_part AS st_body_part, st.has_waveform, st.state AS st_state, st.series_count, st.instance_count AS st_instances, st.received_first_at AS st_first, st.received_last_at AS st_last"
    };
}
macro_rules! series_columns {
    () => {
        "se.id AS se_id, se.study_id AS se_study, se.series_uid, se.modality, se.number AS se_number, se.description AS se_description, se.body_part AS se_body_part, se.laterality, se.protocol_name, se.station_name, se.manufacturer, se.series_date, se.series_time, se.kind, se.instance_count AS se_instances, se.frame_count, se.received_first_at AS se_first, se.received_last_at AS se_last"
    };
}
macro_rules! instance_columns {
    () => {
        "i.id AS i_id, i.series_id AS i_series, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid, i.number AS i_number, i.frames, i.image_rows, i.image_columns, i.bits_allocated, i.object_key, i.size_bytes, i.meta_bytes, i.meta_digest, i.dataset_digest, i.received_at AS i_received"
    };
}
