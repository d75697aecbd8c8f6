<?php
// Every index.php of the app is this one: which of them PHP has chosen is what the app acts on.

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$found = substr(dirname($_SERVER['SCRIPT_FILENAME']), strlen($_SERVER['DOCUMENT_ROOT'])) . ($_SERVER['PATH_INFO'] ?? '');
$note = [
    'case' => $_SERVER['HTTP_X_CASE'] ?? '',
    // As front controllers read it, and as PHP has found the script, if that is any other than the first.
    'readings' => array_values(array_filter([rawurldecode((string) $path), $found])) ?: ['/'],
    'method' => $_SERVER['HTTP_X_HTTP_METHOD_OVERRIDE'] ?? $_SERVER['REQUEST_METHOD'],
    'headers' => (object) array_filter(
        $_SERVER,
        fn ($name) => str_starts_with($name, 'HTTP_') || in_array($name, ['REMOTE_USER', 'PHP_AUTH_USER', 'AUTH_USER']),
        ARRAY_FILTER_USE_KEY
    ),
];
$line = json_encode($note, JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR) . "\n";
file_put_contents(getenv('NOTES'), $line, FILE_APPEND | LOCK_EX);
echo 'noted';
