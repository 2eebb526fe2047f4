//! DICOMweb (PS3.18): search, retrieve, store.

mod forms;
mod frame_list;
mod multipart;
mod render_query;
mod search_query;
mod upload;
