/* libcurl's options are set by variadic functions, which Swift cannot call: here is one function for each type of value.
   The macros by which <curl/typecheck-gcc.h> replaces those functions are switched off, because they want literals. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

typedef size_t (*curl_bytes_function)(char *bytes, size_t size, size_t count, void *context);
typedef curl_socket_t (*curl_socket_function)(void *context, curlsocktype purpose, struct curl_sockaddr *address);

static inline CURLcode curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode curl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode curl_set_pointer(CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode curl_set_buffer(CURL *handle, CURLoption option, char *value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode curl_set_bytes_function(CURL *handle, CURLoption option, curl_bytes_function value) {
    return curl_easy_setopt(handle, option, value);
}
static inline CURLcode curl_set_socket_function(CURL *handle, curl_socket_function value) {
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, value);
}
static inline CURLcode curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode curl_get_socket(CURL *handle, CURLINFO info, curl_socket_t *value) {
    return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode curl_get_pointer(CURL *handle, CURLINFO info, void **value) {
    return curl_easy_getinfo(handle, info, value);
}
/* The result of a message that says that a transfer is done. */
static inline CURLcode curl_message_result(const CURLMsg *message) { return message->data.result; }
