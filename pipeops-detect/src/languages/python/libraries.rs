//! Libraries of the system that packages of Python load or call at run time.

/// Package of Python, and packages of Debian that have the same name in each of its releases.
///
/// What wheels bring along is not here: `psycopg2-binary`, Pillow, lxml, numpy and opencv-python-headless need nothing.
pub(crate) const LIBRARIES: &[(&str, &[&str])] = &[
    ("psycopg2", &["libpq5"]),
    ("psycopg", &["libpq5"]),
    ("mysqlclient", &["libmariadb3"]),
    ("mariadb", &["libmariadb3"]),
    ("pyodbc", &["unixodbc"]),
    ("pycairo", &["libcairo2"]),
    ("cairosvg", &["libcairo2"]),
    (
        "weasyprint",
        &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"],
    ),
    ("python-magic", &["file"]),
    ("opencv-python", &["libgl1", "libglib2.0-bin"]),
    ("opencv-contrib-python", &["libgl1", "libglib2.0-bin"]),
    ("pdf2image", &["poppler-utils"]),
    ("pydub", &["ffmpeg"]),
    ("ffmpeg-python", &["ffmpeg"]),
    ("moviepy", &["ffmpeg"]),
    ("openai-whisper", &["ffmpeg"]),
    ("yt-dlp", &["ffmpeg"]),
    ("pytesseract", &["tesseract-ocr"]),
    ("wand", &["imagemagick"]),
    ("pdfkit", &["wkhtmltopdf"]),
    ("graphviz", &["graphviz"]),
    ("gitpython", &["git"]),
    ("xmlsec", &["libxmlsec1-openssl"]),
    ("python3-saml", &["libxmlsec1-openssl"]),
];
