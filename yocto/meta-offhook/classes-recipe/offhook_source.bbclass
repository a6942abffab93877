# The recipes take their sources out of the repository the layer is part of, file by file. A git URL would
# have to name a revision that contains itself; externalsrc would tie task signatures to one checkout and
# write into it. Fetched as local files, the signature is what the files hold, wherever they are, and a
# board file somebody changes is in the next build.
#
# OFFHOOK_FILES: files and folders, from the root of the repository.

OFFHOOK_FILES[doc] = "Files and folders of Offhook's repository a recipe is made of."
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext
FILESEXTRAPATHS:prepend := "${OFFHOOK_SOURCE}:"

SRC_URI = "${@' '.join('file://%s;subdir=%s' % (f, d.getVar('BP')) for f in d.getVar('OFFHOOK_FILES').split())}"
