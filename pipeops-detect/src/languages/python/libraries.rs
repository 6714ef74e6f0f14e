//! Libraries of the system that packages of Python are compiled against, or load or call at run time.

/// A package of Python, and the packages of Debian that it needs to be compiled and to run. Their names are the same in each
/// of Debian's releases.
pub(crate) struct Library {
    pub(crate) package: &'static str,
    /// Headers that the full image lacks.
    pub(crate) build: &'static [&'static str],
    pub(crate) run: &'static [&'static str],
}

/// What is needed to run only: wheels, or the headers of the full image, do the rest.
const fn run(package: &'static str, run: &'static [&'static str]) -> Library {
    Library {
        package,
        build: &[],
        run,
    }
}

/// What has no wheels.
const fn compiled(
    package: &'static str,
    build: &'static [&'static str],
    run: &'static [&'static str],
) -> Library {
    Library {
        package,
        build,
        run,
    }
}

const LDAP: &[&str] = &["libldap2-dev", "libsasl2-dev"];
/// Brings the library, whose own name has its version in it.
const LDAP_RUN: &[&str] = &["ldap-utils", "libsasl2-2"];

/// What wheels bring along is not here: `psycopg2-binary`, Pillow, lxml, numpy and opencv-python-headless need nothing.
pub(crate) const LIBRARIES: &[Library] = &[
    run("psycopg2", &["libpq5"]),
    run("psycopg", &["libpq5"]),
    run("mysqlclient", &["libmariadb3"]),
    run("mariadb", &["libmariadb3"]),
    compiled("pyodbc", &["unixodbc-dev"], &["unixodbc"]),
    compiled("pycairo", &["libcairo2-dev"], &["libcairo2"]),
    run("cairosvg", &["libcairo2"]),
    run(
        "weasyprint",
        &["libharfbuzz-subset0", "libpango-1.0-0", "libpangoft2-1.0-0"],
    ),
    run("python-magic", &["file"]),
    run("opencv-python", &["libgl1", "libglib2.0-bin"]),
    run("opencv-contrib-python", &["libgl1", "libglib2.0-bin"]),
    run("pdf2image", &["poppler-utils"]),
    run("pydub", &["ffmpeg"]),
    run("ffmpeg-python", &["ffmpeg"]),
    run("moviepy", &["ffmpeg"]),
    run("openai-whisper", &["ffmpeg"]),
    run("yt-dlp", &["ffmpeg"]),
    run("pytesseract", &["tesseract-ocr"]),
    run("wand", &["imagemagick"]),
    run("pdfkit", &["wkhtmltopdf"]),
    run("graphviz", &["graphviz"]),
    run("gitpython", &["git"]),
    compiled("xmlsec", &["libxmlsec1-dev"], &["libxmlsec1-openssl"]),
    compiled("python3-saml", &["libxmlsec1-dev"], &["libxmlsec1-openssl"]),
    compiled("python-ldap", LDAP, LDAP_RUN),
    compiled("django-auth-ldap", LDAP, LDAP_RUN),
    // Compiled where the headers of libxml2 are, it is linked to it.
    run("uwsgi", &["libxml2"]),
    run("pycurl", &["curl"]),
    run("gssapi", &["libgssapi-krb5-2"]),
    run("kerberos", &["libgssapi-krb5-2"]),
    run("pykerberos", &["libgssapi-krb5-2"]),
    compiled("pygraphviz", &["libgraphviz-dev"], &["graphviz"]),
    compiled("pyaudio", &["portaudio19-dev"], &["libportaudio2"]),
    compiled("pylibmc", &["libmemcached-dev"], &["libmemcached-tools"]),
    compiled("pysqlcipher3", &["libsqlcipher-dev"], &["sqlcipher"]),
    compiled("dbus-python", &["libdbus-1-dev"], &["libdbus-1-3"]),
    compiled("pyscard", &["libpcsclite-dev", "swig"], &["libpcsclite1"]),
    compiled("m2crypto", &["swig"], &[]),
    compiled("mod-wsgi", &["apache2-dev"], &["apache2"]),
    compiled("gdal", &["libgdal-dev"], &["gdal-bin"]),
    run("pyzbar", &["libzbar0"]),
];
