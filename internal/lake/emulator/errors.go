package emulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// apiError is a refusal with a code of the service.
type apiError struct {
	code   string
	header http.Header       // further headers of the answer
	detail map[string]string // third key of the error object, where the service has one
}

func (e *apiError) Error() string { return e.code }

func refuse(code string) *apiError { return &apiError{code: code} }

// errorText is one row of the service's error codes.
type errorText struct {
	status int
	text   string
}

// errorTexts are status and text by code (adls.md 7).
func errorTexts() map[string]errorText {
	const condition = "The condition specified using HTTP conditional header(s) is not met."
	const authInfo = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
	return map[string]errorText{
		"FilesystemNotFound":                     {404, "The specified filesystem does not exist."},
		"FilesystemAlreadyExists":                {409, "The specified filesystem already exists."},
		"PathNotFound":                           {404, "The specified path does not exist."},
		"PathAlreadyExists":                      {409, "The specified path already exists."},
		"PathConflict":                           {409, "The specified path, or an element of the path, exists and its resource type is invalid for this operation."},
		"ResourceTypeMismatch":                   {409, "The resource type specified in the request does not match the type of the resource."},
		"SourcePathNotFound":                     {404, "The source path for a rename operation does not exist."},
		"RenameDestinationParentPathNotFound":    {404, "The parent directory of the destination path does not exist."},
		"InvalidRenameSourcePath":                {409, "The source directory cannot be the same as the destination directory, nor can the destination be a subdirectory of the source directory."},
		"InvalidSourceOrDestinationResourceType": {409, "The source and destination resource type must be identical."},
		"InvalidSourceUri":                       {400, "The source URI is invalid."},
		"BothCrc64AndMd5RangeHeaderPresent":      {400, "Both the CRC64 and the MD5 of a range are requested; ask for one."},
		"DirectoryNotEmpty":                      {409, "The recursive query parameter value must be true to delete a non-empty directory."},
		"ConditionNotMet":                        {412, condition},
		"NotModified":                            {304, condition},
		"SourceConditionNotMet":                  {412, "The source condition specified using HTTP conditional header(s) is not met."},
		"InvalidFlushPosition":                   {400, "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file after appending the uploaded data."},
		"ContentLengthMustBeZero":                {400, "The Content-Length request header must be zero."},
		"Md5Mismatch":                            {400, "The MD5 value specified in the request did not match with the MD5 value calculated by the server."},
		"Crc64Mismatch":                          {400, "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server."},
		"MissingRequiredQueryParameter":          {400, "A query parameter that's mandatory for this request is not specified."},
		"InvalidQueryParameterValue":             {400, "Value for one of the query parameters specified in the request URI is invalid."},
		"OutOfRangeQueryParameterValue":          {400, "One of the query parameters specified in the request URI is outside the permissible range."},
		"InvalidHeaderValue":                     {400, "The value for one of the HTTP headers is not in the correct format."},
		"InvalidResourceName":                    {400, "The specified resource name contains invalid characters."},
		"InvalidUri":                             {400, "The request URI is invalid."},
		"PathIsTooDeep":                          {400, "The path exceeds the maximum depth."},
		"InvalidRange":                           {416, "The range specified is invalid for the current size of the resource."},
		"InvalidAuthenticationInfo":              {401, authInfo},
		"NoAuthenticationInformation":            {401, authInfo},
		"AuthenticationFailed":                   {403, "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."},
		"AuthorizationPermissionMismatch":        {403, "This request is not authorized to perform this operation using this permission."},
		"AuthorizationFailure":                   {403, "This request is not authorized to perform this operation."},
		"AccountRequiresHttps":                   {400, "The account being accessed does not support http."},
		"ResourceNotFound":                       {404, "The specified resource does not exist."},
		"UnsupportedHttpVerb":                    {405, "The resource doesn't support the specified HTTP verb."},
		"ServerBusy":                             {503, "Operations per second is over the account limit."},
		"InternalError":                          {500, "The server encountered an internal error. Please retry the request."},
		"OperationTimedOut":                      {500, "The operation could not be completed within the permitted time."},
		"LakeDiskFull":                           {503, "The disk of the local lake is full."},
		"NotImplemented":                         {501, "The local lake does not serve this operation."},
		"LeaseAlreadyPresent":                    {409, "There is already a lease present."},
		"LeaseIdMissing":                         {412, "There is currently a lease on the resource and no lease ID was specified in the request."},
		"LeaseIdMismatch":                        {412, "The lease ID specified did not match the lease ID for the resource."},
		"LeaseNotPresent":                        {412, "There is currently no lease on the resource."},
		"LeaseIdMismatchWithLeaseOperation":      {409, "The lease ID specified did not match the lease ID for the resource with the specified lease operation."},
		"LeaseNotPresentWithLeaseOperation":      {409, "There is currently no lease on the resource."},
		"LeaseIsBreakingAndCannotBeAcquired":     {409, "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken."},
		"LeaseIsBreakingAndCannotBeChanged":      {409, "The lease ID matched, but the lease is currently in breaking state and cannot be changed."},
		"LeaseIsBrokenAndCannotBeRenewed":        {409, "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."},
		"InvaldAccessControlList":                {400, "The access control list value is invalid."},
		"InvalidPermission":                      {400, "The permission value is invalid."},
		"ExpiryNotSupportedForDirectory":         {400, "Set Expiry is not supported for a directory"},
		"InvalidAppendOperation":                 {409, "The resource was created or modified by the Azure Blob Service API and cannot be appended to by the Azure Data Lake Storage Service API."},
		"InvalidFlushOperation":                  {409, "The resource was created or modified by the Azure Blob Service API and cannot be written to by the Azure Data Lake Storage Service API."},
		"InvalidBlobOrBlock":                     {400, "The specified blob or block content is invalid."},
		"InvalidBlockList":                       {400, "The specified block list is invalid."},
		"BlockListTooLong":                       {400, "The block list may not contain more than 50,000 blocks."},
		"InvalidXmlDocument":                     {400, "XML specified is not syntactically valid."},
		"MissingRequiredHeader":                  {400, "An HTTP header that's mandatory for this request is not specified."},
		"RequestBodyTooLarge":                    {413, "The request body is too large and exceeds the maximum permissible limit."},
		"InvalidTag":                             {400, "The tags specified are invalid. It contains characters that are not permitted."},
		"BlobArchived":                           {409, "This operation is not permitted on an archived blob."},
		"CannotVerifyCopySource":                 {404, "The specified blob does not exist."},
		"EndpointUnsupportedAccountFeatures":     {409, "This endpoint does not support the operation on an account without hierarchical namespace."},
	}
}

// blobName is the name that the blob interface has for a code of the dfs one.
func (q *request) blobName(code string) string {
	operation := "WithBlobOperation"
	if q.path == "" {
		operation = "WithContainerOperation"
	}
	name := map[string]string{"FilesystemNotFound": "ContainerNotFound", "FilesystemAlreadyExists": "ContainerAlreadyExists", "PathNotFound": "BlobNotFound", "PathAlreadyExists": "BlobAlreadyExists",
		"DirectoryNotEmpty": "DirectoryIsNotEmpty", "LeaseNotPresent": "LeaseNotPresent" + operation, "LeaseIdMismatch": "LeaseIdMismatch" + operation}[code]
	switch {
	case name == "BlobNotFound" && q.Method == http.MethodHead:
		return "ResourceNotFound"
	case name == "":
		return code
	}
	return name
}

// errorAnswer builds the answer to a refusal: JSON for dfs, XML for blob; a HEAD has no body.
func errorAnswer(e *apiError, q *request, head bool) *answer {
	requestID := q.id
	t, ok := errorTexts()[e.code]
	if !ok {
		t = errorText{http.StatusInternalServerError, e.code}
	}
	a := &answer{status: t.status, header: http.Header{}}
	code := e.code
	if code == "NotModified" {
		code = "ConditionNotMet"
	}
	if q.blob {
		code = q.blobName(code)
	}
	a.header.Set("x-ms-error-code", code)
	for k, v := range e.header {
		a.header[k] = v
	}
	if head || t.status == http.StatusNotModified {
		return a
	}
	if q.blob {
		a.header.Set("Content-Type", "application/xml")
		a.body = []byte("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + code + "</Code><Message>" + t.text + "\nRequestId:" + requestID + "\nTime:" + time.Now().UTC().Format(time.RFC3339Nano) + "</Message></Error>")
		return a
	}
	type object struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Detail  map[string]string `json:"detail,omitempty"`
	}
	text := t.text + "\nRequestId:" + requestID + "\nTime:" + time.Now().UTC().Format(time.RFC3339Nano)
	a.body, _ = json.Marshal(map[string]object{"error": {code, text, e.detail}})
	a.header.Set("Content-Type", "application/json;charset=utf-8")
	return a
}
