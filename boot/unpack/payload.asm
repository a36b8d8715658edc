; The packed image, and what it becomes. The build tells PAYLOAD (the packed file) and, of the image
; as linked at 0, IMAGE_ENTRY, IMAGE_TEXT_END, IMAGE_BYTES (unpacked, without the headers' page) and
; IMAGE_END (with what starts as zeros).

section .rodata
global unpack_image:data hidden
global unpack_payload:data hidden

align 8
unpack_image:                   ; struct unpack_image of main.c
    dq  IMAGE_ENTRY
    dq  IMAGE_TEXT_END
    dq  IMAGE_BYTES
    dq  IMAGE_END
    dq  unpack_payload.end - unpack_payload
unpack_payload:
    incbin PAYLOAD
.end:

section .note.GNU-stack noalloc noexec nowrite progbits
